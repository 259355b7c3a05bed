"""`redo`: rows of a batch that was made of a frame, once more."""

from __future__ import annotations

from typing import Any

import click

from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import echo_json, printable
from jobqueue.errors import InvalidJob

EPILOG = """
\b
Examples:
  jobqueue redo scores-7 --row 3
  jobqueue redo scores-7 --row 3 --row 4 --column grade --set model=large
  jobqueue redo scores-7 --all --priority low

--json: {batch, count, jobs: [{id, row}]}
"""


@click.command(epilog=EPILOG)
@click.argument("batch")
@click.option("--row", "rows", multiple=True, type=int, metavar="N", help="A row by its number, from 0; repeatable.")
@click.option("--all", "every", is_flag=True, help="All rows.")
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Take only this key of the new result; repeatable.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another argument: JSON, else text; repeatable.")
@click.option("--priority", default="high", show_default=True, metavar="0-99|NAME", help="Lower runs first.")
@json_option
@queue_option
def redo(
    batch: str,
    rows: tuple[int, ...],
    every: bool,
    columns: tuple[str, ...],
    settings: tuple[str, ...],
    priority: str,
    as_json: bool,
) -> None:
    """Do rows of a batch again, as new jobs.

    The results of the batch show the newest run of each row; with --column only these keys of it.
    """
    from jobqueue.cli.requests import read_setting
    from jobqueue.queue.frame import FrameBatch

    if bool(rows) == every:
        raise click.UsageError("say which rows: --row N (repeatable), or --all")
    given: Any = int(priority) if priority.isascii() and priority.isdigit() else priority
    with open_queue() as queue:
        found = queue.batch(batch)
        if not isinstance(found, FrameBatch):
            raise InvalidJob(f"batch: {batch!r} was not made of a frame, so it has no rows; retry its jobs instead")
        made = found.redo(list(rows) or None, list(columns) or None, priority=given, payload=dict(map(read_setting, settings)))
        jobs = [{"id": job.id, "row": job.last_seen.job.row["number"]} for job in made]
    if as_json:
        echo_json({"batch": batch, "count": len(jobs), "jobs": jobs})
        return
    for job in jobs:
        click.echo(printable(job["id"]))
