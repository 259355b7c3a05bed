"""The command group: its sections of help, and what becomes of every error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from jobqueue import __version__
from jobqueue.cli.options import queue_option
from jobqueue.cli.printing import one_line
from jobqueue.errors import JobNotFound, JobQueueError
from jobqueue.inert import shell_word

SECTIONS = {
    "Add jobs": ("init", "enqueue", "schedule"),
    "Look": ("list", "show", "logs", "why", "stats", "workers", "health"),
    "Look back": ("metrics", "errors", "export", "snapshot"),
    "Change jobs": ("retry", "redo", "cancel", "delete", "purge", "restore"),
    "Run jobs": ("worker", "start", "stop", "pause", "resume", "limit", "budget", "limits"),
    "Take a job elsewhere": ("bundle", "import-bundle", "notebook"),
    "Keep it well": ("check", "doctor", "retention", "completion"),
}
ALIASES = {"ls": "list", "log": "logs", "schedules": "schedule list"}
BROKEN_PIPE = 128 + 13
INTERRUPTED = 128 + 2


class Program(click.Group):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        first, *rest = ALIASES.get(cmd_name, cmd_name).split(" ")
        command = super().get_command(ctx, first)
        for word in rest:
            command = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for names in SECTIONS.values() for name in names)
        for title, names in SECTIONS.items():
            commands = [(name, self.commands[name]) for name in names if name in self.commands]
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), command.get_short_help_str(100)) for name, command in commands])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except JobQueueError as error:
            fail(ctx, sentence(error))
        except (KeyboardInterrupt, click.Abort):
            click.echo(err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            silence()
            ctx.exit(BROKEN_PIPE)
        except OSError as error:
            fail(ctx, f"{error.filename}: {error.strerror}" if error.filename is not None else str(error))


def fail(ctx: click.Context, message: str) -> NoReturn:
    click.echo(f"error: {one_line(message)}", err=True)
    ctx.exit(1)


def sentence(error: JobQueueError) -> str:
    """What the error says, with the fix in the words of the shell where they differ from Python's."""
    if isinstance(error, JobNotFound) and error.hint:
        return f"{JobNotFound(error.id)}; it was purged; bring it back with: jobqueue restore {shell_word(error.id)}"
    return str(error)


def silence() -> None:
    """Nobody reads on; what is still buffered must not be complained about at the end of the process."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


EPILOG = """
\b
Examples:
  jobqueue init
  jobqueue enqueue scan --set repo=octo/cat --priority high
  jobqueue worker --handlers handlers.py
  jobqueue list --status failed --since 24h

Exit codes: 0 done, 1 the request failed, 2 wrong usage. The queue is --queue, else JOBQUEUE_DIR, else queue_dir in the
nearest jobqueue.yaml, else ./queue_dir.
"""


@click.group(cls=Program, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@queue_option
@click.version_option(__version__, prog_name="jobqueue")
def program() -> None:
    """A job queue that is a folder: JSON files that move from pending/ to done/."""
