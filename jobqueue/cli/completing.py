"""What the Tab key offers. A completion never prints an error, and never offers a word that a shell would take apart."""

from __future__ import annotations

import functools
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import click

from jobqueue.model.status import ALIASES, Status

Completer = Callable[[click.Context, click.Parameter, str], list[str]]
Source = Callable[[str], Iterable[str]]
SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./][A-Za-z0-9_@%+=:,./~-]*")
MOST = 200
LOOKED_AT = 500


def quiet(source: Source) -> Completer:
    """Turns a source of words into a completion that stays silent whatever happens."""

    @functools.wraps(source)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        logging.disable()
        try:
            with warnings.catch_warnings(), ctx.scope(cleanup=False):
                warnings.simplefilter("ignore")
                fitting = (word for word in source(incomplete) if word.startswith(incomplete) and SAFE.fullmatch(word))
                return list(islice(dict.fromkeys(fitting), MOST))
        except Exception:  # whatever it is, it must not appear in the middle of a command line
            return []
        finally:
            ctx.find_root().close()  # click has closed it already, before it asked
            logging.disable(logging.NOTSET)

    return complete


def ids(*among: Status) -> Completer:
    """The ids of jobs of these statuses (of all without any)."""
    return quiet(lambda incomplete: job_ids(among or tuple(Status)))


def job_ids(among: Iterable[Status]) -> Iterator[str]:
    """From the names of the files alone: a large queue must not make the Tab key slow."""
    from jobqueue.cli.opening import open_queue
    from jobqueue.store.spool import Spool

    with open_queue() as queue:
        if isinstance(queue.store, Spool):
            for status in among:
                names = sorted(queue.store.folder.names(status), reverse=status in (Status.DONE, Status.FAILED))
                yield from (name.rpartition("/")[2].removesuffix(".json") for name in names)


@quiet
def trashed_ids(incomplete: str) -> Iterator[str]:
    from jobqueue.cli.opening import open_queue

    with open_queue() as queue:
        yield from (job.id for job in queue.trashed())


@quiet
def statuses(incomplete: str) -> list[str]:
    return [status.value for status in Status] + sorted(ALIASES) if incomplete else [status.value for status in Status]


@quiet
def types(incomplete: str) -> Iterator[str]:
    from jobqueue.cli.opening import open_queue

    with open_queue() as queue:
        for worker in queue.workers():
            yield from worker.types or ()
        for status in Status:
            yield from (item.job.type for item in queue.store.scan(statuses=(status,), limit=LOOKED_AT).items)


@quiet
def projects(incomplete: str) -> Iterator[str]:
    from jobqueue.cli.opening import open_queue

    with open_queue() as queue:
        for status in Status:
            yield from (item.job.project or "" for item in queue.store.scan(statuses=(status,), limit=LOOKED_AT).items)


@quiet
def schedules(incomplete: str) -> Iterator[str]:
    from jobqueue.cli.opening import open_queue

    with open_queue() as queue:
        yield from (record.name for record in queue.store.schedules.all())


EPILOG = """
\b
Examples:
  echo 'eval "$(jobqueue completion bash)"' >> ~/.bashrc
  echo 'eval "$(jobqueue completion zsh)"' >> ~/.zshrc
  jobqueue completion fish > ~/.config/fish/completions/jobqueue.fish
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script for completion by the Tab key.

    It completes commands, options, ids, types, statuses and projects.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(ShellComplete.source(completer(ctx.find_root().command, {}, "jobqueue", "_JOBQUEUE_COMPLETE")))
