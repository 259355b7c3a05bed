"""`snapshot`: the dashboard as one page."""

from __future__ import annotations

import os

import click

from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import queue_option
from jobqueue.cli.printing import one_line

EPILOG = """
\b
Examples:
  jobqueue snapshot report.html
  jobqueue snapshot report.html --overwrite
"""


@click.command(epilog=EPILOG)
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@queue_option
def snapshot(path: str, overwrite: bool) -> None:
    """Write the dashboard as one HTML page that needs nothing else."""
    if not overwrite and os.path.lexists(path):
        raise click.UsageError(f"{path}: it is there already; take another name, or --overwrite")
    with open_queue() as queue:
        click.echo(one_line(os.fspath(queue.snapshot(path, overwrite=overwrite))))
