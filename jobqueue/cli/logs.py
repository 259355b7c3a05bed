"""`logs`: what a job has printed and logged, during the run and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import echo_json, printable, printable_lines

if TYPE_CHECKING:
    from jobqueue.queue.handle import JobHandle

LOGS_EPILOG = """
\b
Examples:
  jobqueue logs my-job
  jobqueue logs my-job -f                 # until it has ended: exit code 0 where it is done, 1 where it failed
  jobqueue logs --last --type train -n 20

--json: {id, status, lines: [text], progress: {percent, message, done, total, seconds_left, attempt, at, metrics} or null}.
"""


@click.command(epilog=LOGS_EPILOG)
@click.argument("id", required=False, shell_complete=complete.ids())
@click.option("--follow", "-f", is_flag=True, help="Go on as the log grows, until the job has ended.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=200, show_default=True, help="At most so many lines.")
@click.option("--last", is_flag=True, help="The job that was made last, instead of an ID.")
@click.option("--type", "-t", metavar="TYPE", shell_complete=complete.types, help="With --last: the last of this type.")
@json_option
@queue_option
@click.pass_context
def logs(ctx: click.Context, id: str | None, follow: bool, lines: int, last: bool, type: str | None, as_json: bool) -> None:
    """Show what a job has printed and logged (also: log)."""
    if (id is not None) == last or (type is not None and not last):
        raise click.UsageError("give the ID of a job, or --last (with --type, if need be)")
    if follow and as_json:
        raise click.UsageError("--follow and --json do not go together")
    with open_queue() as queue:
        job = queue.last(type) if id is None else queue.get(id)
        if follow:
            ctx.exit(follow_to_the_end(job, lines))
        elif as_json:
            echo_json({"id": job.id, "status": job.status, "lines": job.log(lines).splitlines(), "progress": job.progress})
        else:
            tell_log(job, lines)


def tell_log(job: JobHandle[Any], lines: int) -> None:
    text = job.log(lines)
    if text:
        click.echo(printable_lines(text))
    else:
        click.echo(f"note: {printable(job.id)} has printed nothing", err=True)


def follow_to_the_end(job: JobHandle[Any], lines: int) -> int:
    """The exit code."""
    from jobqueue.errors import JobNotFound
    from jobqueue.model.status import Status
    from jobqueue.queue.following import follow

    unfinished = ""
    for text in follow(job, lines):
        *whole, unfinished = (unfinished + text).split("\n")
        for line in whole:
            click.echo(printable_lines(line))
    if unfinished:
        click.echo(printable_lines(unfinished))
    try:
        located = job.located
    except JobNotFound:
        click.echo(f"note: {printable(job.id)} is gone", err=True)
        return 1
    click.echo(printable_lines(job.why()), err=True)
    return 0 if located.status is Status.DONE else 1
