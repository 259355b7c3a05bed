"""`retention`: what the rules of jobqueue.yaml let go."""

from __future__ import annotations

import click

from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import dry_run_option, json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line, plain

EPILOG = """
\b
Examples:
  jobqueue retention --dry-run
  jobqueue retention

\b
The rules stand in jobqueue.yaml; without any, finished jobs are kept for ever:
  retention:
    done: 7d
    failed: {age: 30d, count: 10000, size: 1GiB}

Workers apply them every ten minutes. What goes lies in the trash for a week, and `jobqueue restore` brings it back.

--json: {retention: {done: {age, count, size} or null, failed: ...}, dry_run, count, changed, refused}; age is in seconds.
"""


@click.command(epilog=EPILOG)
@dry_run_option
@json_option
@queue_option
def retention(dry_run: bool, as_json: bool) -> None:
    """Move to the trash what the retention rules let go."""
    from jobqueue.cli.progress import waiting

    with open_queue() as queue:
        rules = queue.config.retention
        with waiting("looking"):
            bulk = queue.apply_retention(dry_run=dry_run)
    if as_json:
        told = {"dry_run": bulk.dry_run, "count": len(bulk), "changed": bulk.ids, "refused": bulk.refused}
        echo_json({"retention": plain(rules), **told})
        return
    click.echo(one_line(str(rules)))
    if rules.rules:
        click.echo(one_line(str(bulk)))
    else:
        click.echo("there is no rule; write one into jobqueue.yaml, such as: retention: {done: 7d, failed: 30d}")
