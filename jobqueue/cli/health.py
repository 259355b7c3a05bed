"""`health`: whether the queue is well, for a person or a probe."""

from __future__ import annotations

import click

from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line

COLORS = {"healthy": "green", "degraded": "yellow", "unhealthy": "red"}
HEALTH_EPILOG = """
\b
Examples:
  jobqueue health
  jobqueue health --json
  jobqueue health > /dev/null || notify-send "the queue is not well"

--json: {status, stats: {waiting, active, completed, failed}, timestamp, reasons, workers, stalled}; status is healthy,
degraded or unhealthy. Exit code 0 where it is healthy, else 1.
"""


@click.command(epilog=HEALTH_EPILOG)
@json_option
@queue_option
def health(as_json: bool) -> None:
    """Say whether the queue is well, and if not, why."""
    from jobqueue.cli.progress import waiting

    with open_queue() as queue, waiting("looking"):
        found = queue.health()
    if as_json:
        echo_json(found.to_dict())
    else:
        click.secho(found.status, fg=COLORS[found.status])
        for reason in found.reasons:
            click.echo(f"  {one_line(reason)}")
    if not found:
        click.get_current_context().exit(1)
