"""`bundle`, `import-bundle` and `notebook`: a job to take elsewhere."""

from __future__ import annotations

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line
from jobqueue.model.status import Status

BUNDLE_EPILOG = """
\b
Examples:
  jobqueue bundle my-scan
  jobqueue bundle my-scan /tmp/scan.zip

--json: {path}.
"""


@click.command(epilog=BUNDLE_EPILOG)
@click.argument("id", shell_complete=complete.ids(*Status))
@click.argument("path", required=False, type=click.Path())
@json_option
@queue_option
def bundle(id: str, path: str | None, as_json: bool) -> None:
    """Put a job, its log and all it left into one zip file (ID.zip)."""
    with open_queue() as queue:
        written = str(queue.get(id).bundle(path or f"{id}.zip"))
    echo_json({"path": written}) if as_json else click.echo(f"written: {one_line(written)}")


IMPORT_EPILOG = """
\b
Examples:
  jobqueue import-bundle scan.zip

--json: {id, status}.
"""


@click.command("import-bundle", epilog=IMPORT_EPILOG)
@click.argument("path", type=click.Path())
@json_option
@queue_option
def import_bundle(path: str, as_json: bool) -> None:
    """Open what `bundle` wrote, as a finished job of this queue."""
    with open_queue() as queue:
        job = queue.import_bundle(path)
        found = {"id": job.id, "status": job.status.value}
    echo_json(found) if as_json else click.echo(one_line(f"{found['status']} {found['id']}"))


NOTEBOOK_EPILOG = """
\b
Examples:
  jobqueue notebook my-scan
  jobqueue notebook my-scan why-it-failed.ipynb

--json: {path}.
"""


@click.command(epilog=NOTEBOOK_EPILOG)
@click.argument("id", shell_complete=complete.ids(*Status))
@click.argument("path", required=False, type=click.Path())
@json_option
@queue_option
def notebook(id: str, path: str | None, as_json: bool) -> None:
    """Write a notebook about a job, to run it again in (ID.ipynb)."""
    with open_queue() as queue:
        written = str(queue.get(id).to_notebook(path or f"{id}.ipynb"))
    echo_json({"path": written}) if as_json else click.echo(f"written: {one_line(written)}")
