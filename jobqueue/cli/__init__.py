"""The command line: whatever `Queue` can do, from a shell.

Importing this loads click and nothing heavy; each command imports what it needs when it runs.
Exit codes: 0 done, 1 the request failed (one line `error: ...` on stderr), 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import io
import sys

from jobqueue.cli.adding import enqueue
from jobqueue.cli.boxes import bundle, import_bundle, notebook
from jobqueue.cli.changing import cancel, delete, purge, restore, retry
from jobqueue.cli.checking import check, doctor
from jobqueue.cli.completing import completion
from jobqueue.cli.exporting import export
from jobqueue.cli.health import health
from jobqueue.cli.limiting import budget, limit, limits
from jobqueue.cli.logs import logs
from jobqueue.cli.looking import list_jobs, stats, workers
from jobqueue.cli.making import init
from jobqueue.cli.measuring import errors, metrics
from jobqueue.cli.program import program
from jobqueue.cli.redoing import redo
from jobqueue.cli.retaining import retention
from jobqueue.cli.running import pause, resume, worker
from jobqueue.cli.scheduling import schedule
from jobqueue.cli.showing import show, why
from jobqueue.cli.snapshot import snapshot
from jobqueue.cli.starting import start, stop

for command in (
    *(init, enqueue, schedule),
    *(list_jobs, show, logs, why, stats, workers, health),
    *(metrics, errors, export, snapshot),
    *(retry, redo, cancel, delete, purge, restore),
    *(worker, start, stop, pause, resume, limit, budget, limits),
    *(bundle, import_bundle, notebook),
    *(check, doctor, retention, completion),
):
    program.add_command(command)


def main() -> None:
    """The command `jobqueue`; ends the process with the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that this terminal cannot show must not end the list
    try:
        program(prog_name="jobqueue")
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main", "program"]
