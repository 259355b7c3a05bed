"""Magics for notebooks, after `%load_ext jobqueue`: %queue, %jobs, %worker, %%job for the lines of a cell, and %%handlers.

They say the same as calls do, in fewer letters; `%%job?` tells all of one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from jobqueue.errors import JobQueueError, NoWorkerWarning
from jobqueue.panels.handler_file import written
from jobqueue.queue import cells
from jobqueue.queue.default import default_queue
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.queue import Queue
from jobqueue.queue.seen import Workers

START = "%worker start --cells"
PROJECT = re.compile(r"\s(-p|--project)\s+\S*$")
WORDS = {"queue": (), "jobs": ("pending", "claimed", "done", "failed"), "worker": ("start", "stop", "status", "--cells")}


def plainly(function: Any) -> Any:
    """An error of ours is one line in a notebook, not a traceback through these files."""

    def wrapped(self: JobMagics, *args: Any) -> Any:
        try:
            return function(self, *args)
        except (JobQueueError, OSError, ValueError) as error:
            raise UsageError(str(error)) from None

    for name in ("__name__", "__doc__", "__module__", "__qualname__", "parser", "has_arguments"):
        if hasattr(function, name):
            setattr(wrapped, name, getattr(function, name))
    return wrapped


@magics_class
class JobMagics(Magics):
    """One set for a shell. `chosen` is the queue of `%queue`; without it, the default one."""

    chosen: Queue | None = None
    shell: Any

    @property
    def current(self) -> Queue:
        return self.chosen if self.chosen is not None else default_queue()

    @line_magic
    @plainly
    @magic_arguments()
    @argument("path", nargs="?", help="the folder that all magics use from now on; without it, the queue in use is shown")
    def queue(self, line: str) -> Queue:
        """%queue [path]: which queue the magics use."""
        given = parse_argstring(self.queue, line)
        if given.path:
            self.chosen = Queue(given.path)
        return self.current

    @line_magic
    @plainly
    @magic_arguments()
    @argument("status", nargs="?", help="pending, claimed, done or failed; all unless given")
    @argument("-t", "--type", help="only jobs of this type")
    @argument("-p", "--project", help="only jobs of this project")
    @argument("-n", type=int, default=20, help="how many (20)")
    def jobs(self, line: str) -> Any:
        """%jobs [status] [-t type] [-p project] [-n 20]: jobs as a frame, the first in the order of the queue."""
        import pandas as pd

        given = parse_argstring(self.jobs, line)
        filters = {name: value for name in ("type", "project") if (value := getattr(given, name)) is not None}
        found = self.current.jobs(given.status, limit=given.n, **filters)
        names = ("id", "status", "type", "name", "project", "attempts", "created_at", "finished_at")
        rows = [{name: getattr(job, name) for name in names} | {"status": str(job.status)} for job in found]
        frame = pd.DataFrame(rows, columns=list(names))
        frame.attrs["total"] = found.total
        return frame

    @line_magic
    @plainly
    @magic_arguments()
    @argument("what", nargs="?", default="status", choices=("start", "stop", "status"), help="start, stop or status (status)")
    @argument("handlers", nargs="*", help="modules or .py files with handlers; without any, those of jobqueue.yaml")
    @argument("-c", "--concurrency", type=int, help="how many jobs at a time")
    @argument("--reload", action="store_true", help="it starts anew when the code of its handlers changes")
    @argument(
        "--cells", action="store_true", help="also runs the cells of %%%%job: anything that stands in this queue's folder"
    )
    def worker(self, line: str) -> Any:
        """%worker start [handlers.py ...] [--cells] [--reload] | stop | status: a worker that outlives this kernel."""
        given = parse_argstring(self.worker, line)
        if given.what == "status":
            return self.current.workers()
        if given.what == "stop":
            return self.stop()
        handlers = [*given.handlers, *([cells.__name__] if given.cells else [])]
        types = [cells.CELL] if given.cells and not given.handlers else None  # it leaves all other jobs to other workers
        return self.current.ensure_worker(handlers or None, concurrency=given.concurrency, types=types, reload=given.reload)

    def stop(self) -> Workers:
        """All that serve this queue on this machine; those that are left."""
        for worker in self.current.workers():
            worker.stop(wait="30s")
        return self.current.workers()

    @cell_magic
    @plainly
    @magic_arguments()
    @argument("type", nargs="?", help="then the cell is one expression, and its value the payload of a job of this type")
    @argument("-w", "--wait", action="store_true", help="waits for the result, and shows it")
    @argument("-o", "--out", help="with --wait the result gets this name here, else the handle of the job")
    @argument("-v", "--with", dest="names", default="", help="variables of this notebook that the cell needs: a,b")
    @argument("-r", "--result", help="the variable of the cell that is its result; its last line unless given")
    def job(self, line: str, body: str) -> Any:
        """%%job [type] [--with a,b] [--wait] [--out name]: a job of the lines of this cell.

        Without a type the source goes into the job as plain text, with the named variables as JSON, and a worker that allows
        it runs it: `%worker start --cells`.
        """
        given = parse_argstring(self.job, line)
        made = self.make(given, body)
        if not given.wait:
            return self.named(given.out, made) if given.out else made
        value = made.result()
        return self.named(given.out, value) if given.out else value

    @cell_magic
    @plainly
    @magic_arguments()
    @argument("path", help="the .py file that the cell becomes")
    @argument("-f", "--overwrite", action="store_true", help="also over a file that no cell has written")
    def handlers(self, line: str, body: str) -> None:
        """%%handlers handlers.py: the cell becomes a file of handlers, and they are known here by their names.

        Then `%worker start handlers.py`. Running the cell again writes the file anew; a worker that runs already keeps what it
        has loaded, unless it was started with --reload.
        """
        given = parse_argstring(self.handlers, line)
        found = written(Path(given.path), body, given.overwrite)
        self.shell.user_ns.update({handler.function.__name__: handler.function for handler in found})
        print(f"{given.path} runs {', '.join(handler.type for handler in found)}")

    def make(self, given: Any, body: str) -> JobHandle[Any]:
        import warnings

        if given.type:
            payload = self.shell.ev(body.strip())
            if not isinstance(payload, dict):
                raise UsageError(
                    f"%%job {given.type}: the cell must be a dict, such as {{'n': 3}}; it is a {type(payload).__name__}"
                )
            return self.current.enqueue(given.type, payload)
        self.require_worker()
        payload = {"source": body, "variables": self.variables(given.names)}
        self.require_all(body, payload["variables"])
        if given.result:
            payload["out"] = given.result
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoWorkerWarning)
            return self.current.enqueue(cells.CELL, payload)

    def require_worker(self) -> None:
        """One that runs cells, and none that would take the job and fail it."""
        workers = self.current.workers()
        runs = [cells.CELL in (worker.types or ()) for worker in workers]
        if not any(runs):
            raise UsageError(f"%%job: no live worker runs cells; start one with {START}")
        if failing := [one.name for one, able in zip(workers, runs, strict=True) if one.serves_all and not able]:
            raise UsageError(
                f"%%job: {failing[0]} takes jobs of every type and would fail this one; let one worker run both: "
                "%worker stop, then %worker start handlers.py --cells"
            )

    def require_all(self, body: str, variables: dict[str, Any]) -> None:
        """A cell that needs what only this notebook has would fail in the worker."""
        try:
            needed = cells.needs(body)
        except SyntaxError as error:
            raise UsageError(f"%%job: line {error.lineno}: {error.msg}; a job is plain Python, without % and !") from None
        ours = self.shell.user_ns.keys() - self.shell.user_ns_hidden.keys()
        if missing := sorted((needed & ours) - variables.keys()):
            also = ",".join([*variables, *missing])
            raise UsageError(
                f"%%job: the cell uses {', '.join(missing)} of this notebook: give them along, with --with {also} (as JSON), "
                "or make or import them in the cell"
            )

    def variables(self, names: str) -> dict[str, Any]:
        found = {}
        for name in filter(None, map(str.strip, names.split(","))):
            if name not in self.shell.user_ns:
                raise UsageError(f"--with: there is nothing called {name!r} in this notebook")
            value = self.shell.user_ns[name]
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                raise UsageError(f"--with: {name} is no JSON ({error}); write it to a file and give its path") from None
            found[name] = value
        return found

    def named(self, name: str, value: Any) -> None:
        self.shell.user_ns[name] = value

    # -- completion

    def complete(self, shell: Any, event: Any) -> list[str]:
        """Words, types and projects that were seen lately, and files with handlers."""
        magic = event.line.lstrip("%").split(" ", 1)[0]
        lately = [job.record for job in self.current.jobs(limit=50)] if magic in ("jobs", "job") else []
        projects = {job.project for job in lately if job.project is not None}
        if PROJECT.search(event.line):
            return sorted(projects)
        return sorted({*WORDS.get(magic, ()), *projects, *(job.type for job in lately)})


def register(shell: InteractiveShell) -> None:
    magics = JobMagics(shell)
    shell.register_magics(magics)
    for name in ("%jobs", "%worker", "%%job"):
        shell.set_hook("complete_command", magics.complete, str_key=name)
