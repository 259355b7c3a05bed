"""`export`: the journal, or the jobs, as a file for other programs."""

from __future__ import annotations

import os
from typing import Any

import click

from jobqueue.cli.measuring import require_analytics
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import filter_options, queue_option
from jobqueue.cli.printing import one_line

FRAMES = ("attempts", "items", "events", "jobs")
EPILOG = """
\b
Examples:
  jobqueue export attempts attempts.parquet
  jobqueue export attempts week.csv.gz --since 7d --type scan
  jobqueue export jobs failed.csv --status failed --overwrite

The ending says what is written: .parquet, .csv or .csv.gz. In CSV, times are ISO 8601 in UTC, durations milliseconds, and
lists JSON. Of attempts, items and events the filters are --since, --until, --type, --project and --batch, as far as they have
them; of jobs all.
"""


@click.command(epilog=EPILOG)
@click.argument("what", type=click.Choice(FRAMES))
@click.argument("path", type=click.Path(dir_okay=False))
@filter_options
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@queue_option
def export(what: str, path: str, filters: dict[str, Any], overwrite: bool) -> None:
    """Write what the journal tells, or the jobs, to a file."""
    require_analytics()
    from jobqueue import analytics
    from jobqueue.analytics.export import check_target
    from jobqueue.cli.progress import waiting

    check_target(path, overwrite)
    if what != "jobs":
        refuse_filters(what, filters)
    with open_queue() as queue, waiting("exporting"):
        if what == "jobs":
            status = filters.pop("status", None)
            frame = analytics.jobs(queue, status, **filters)
        else:
            times = {name: filters.pop(name) for name in ("since", "until") if name in filters}
            frame = getattr(analytics, what)(queue, **times)
            for name, wanted in filters.items():
                frame = frame[frame[name].isin([wanted] if isinstance(wanted, str) else list(wanted))]
        target = analytics.export(frame, path, overwrite=overwrite)
    click.echo(one_line(f"{len(frame):,} rows in {os.fspath(target)}"))


def refuse_filters(what: str, filters: dict[str, Any]) -> None:
    known = {"since", "until", "type", "project"} | ({"batch"} if what != "items" else set())
    for name in filters:
        if name not in known:
            options = ", ".join(f"--{word}" for word in sorted(known))
            raise click.UsageError(f"--{name.replace('_', '-')} is a filter of jobs; {what} have {options}")
