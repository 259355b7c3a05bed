"""`worker`, `pause` and `resume`: whether jobs are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import chosen_path, open_queue
from jobqueue.cli.options import duration, json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@queue_option
@click.pass_context
def worker(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Run a worker: the same as python -m jobqueue.worker."""
    from jobqueue.worker.__main__ import main

    chosen = chosen_path()
    ctx.exit(main([*(("--queue", chosen) if chosen else ()), *arguments]))


PAUSE_EPILOG = """
\b
Examples:
  jobqueue pause --reason "disk maintenance"
  jobqueue pause --type scan --until 1h
  jobqueue resume

--json: {paused: {by, at, reason, until} or null, paused_types: {type: the same}}.
"""


@click.command(epilog=PAUSE_EPILOG)
@click.option("--reason", default="", metavar="TEXT", help="Why, for whoever wonders.")
@click.option("--type", "-t", metavar="TYPE", shell_complete=complete.types, help="Only jobs of this type.")
@click.option("--by", metavar="NAME", help="Who pauses it (the user who does).")
@click.option("--until", type=duration, metavar="1h|TIME", help="It ends by itself then.")
@json_option
@queue_option
def pause(reason: str, type: str | None, by: str | None, until: Any, as_json: bool) -> None:
    """Let no worker start another job until `resume`.

    Running jobs go on. The pause outlasts restarts of everything.
    """
    with open_queue() as queue:
        queue.pause(reason, type=type, by=by, until=until)
        tell_control(queue, type, as_json)


RESUME_EPILOG = """
\b
Examples:
  jobqueue resume
  jobqueue resume --type scan

--json: as for pause.
"""


@click.command(epilog=RESUME_EPILOG)
@click.option("--type", "-t", metavar="TYPE", shell_complete=complete.types, help="End the pause of this type.")
@json_option
@queue_option
def resume(type: str | None, as_json: bool) -> None:
    """End the pause of the queue, or of one type."""
    with open_queue() as queue:
        control = queue.control()
        was_paused = control.paused is not None if type is None else type in control.paused_types
        queue.resume(type=type)
        tell_control(queue, type, as_json, was_paused)


def tell_control(queue: Queue, type: str | None, as_json: bool, was_paused: bool = True) -> None:
    control = queue.control()
    what = "the queue" if type is None else f"the type {type!r}"
    now = control.paused if type is None else control.paused_types.get(type)
    if as_json:
        echo_json({"paused": control.paused, "paused_types": control.paused_types})
    elif now is not None:
        click.echo(one_line(now.sentence(what)))
    else:
        click.echo(one_line(f"{what} is no longer paused" if was_paused else f"{what} was not paused"))
        others = ["the queue"] if control.paused is not None else []
        others += [f"the type {name!r}" for name in control.paused_types]
        for other in others:
            click.echo(one_line(f"{other} is still paused"))
