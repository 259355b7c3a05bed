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
    journal: 400d

Workers apply them every ten minutes. Jobs that go lie in the trash for a week, and `jobqueue restore` brings them back.
What goes of the journal is gone, and out of the metrics; without a rule it is kept for ever, packed after two days.

--json: {retention: {done: {age, count, size} or null, failed: ..., journal}, dry_run, count, changed, refused,
journal: [{name, size}]}; ages are in seconds, sizes in bytes.
"""


@click.command(epilog=EPILOG)
@dry_run_option
@json_option
@queue_option
def retention(dry_run: bool, as_json: bool) -> None:
    """Let go of what the retention rules do not keep: jobs to the trash, old files of the journal for good."""
    from jobqueue.cli.progress import waiting

    with open_queue() as queue:
        rules = queue.config.retention
        with waiting("looking"):
            bulk = queue.apply_retention(dry_run=dry_run)
    if as_json:
        told = {"dry_run": bulk.dry_run, "count": len(bulk), "changed": bulk.ids, "refused": bulk.refused}
        told["journal"] = [{"name": file.name, "size": file.size} for file in bulk.journal]
        echo_json({"retention": plain(rules), **told})
        return
    click.echo(one_line(str(rules)))
    if rules.rules or rules.journal is not None:
        click.echo(one_line(str(bulk)))
    else:
        click.echo("there is no rule; write one into jobqueue.yaml, such as: retention: {done: 7d, failed: 30d}")
