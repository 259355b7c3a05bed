"""Running jobs in this very process: all that are due (`drain`), or one again with its exact payload (`run_here`).

The one module of this floor that uses the worker, and it imports it only when it runs.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from jobqueue.errors import HandlerError
from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.model.times import Duration, short
from jobqueue.queue.context import JobContext, running
from jobqueue.queue.handler import Handler, HandlerMark, handler_of, mark_of, read_handler
from jobqueue.queue.registry import Registry, registry_of
from jobqueue.queue.signature import convert_payload
from jobqueue.queue.unserved import callers_level
from jobqueue.queue.waiting import Patience

if TYPE_CHECKING:
    from jobqueue.queue.handle import JobHandle
    from jobqueue.queue.queue import Queue
    from jobqueue.worker.worker import Worker

Source = str | os.PathLike[str]
PATIENCE = 1.0
"""Seconds before a bar is shown: what is over sooner needs none."""
LOOK_EVERY = 0.2


class DrainCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a drain did: jobs that are done and that failed for good, and how many are pending still (of any type)."""

    done: int
    failed: int
    left: int
    seconds: float

    def __repr__(self) -> str:
        return f"<Drained: {self.done:,} done, {self.failed:,} failed, {self.left:,} left, in {short(self.seconds)}>"


# The handlers that are at hand


def handlers_here(queue: Queue) -> Registry:
    """The marked functions of `__main__`, and for all other types those of jobqueue.yaml: a cell goes before a module."""
    cells = {
        handler.type: handler for handler in map(handler_of, filter(mark_of, list(vars(sys.modules["__main__"]).values())))
    }
    loaded = Registry.load(queue.config.handlers)
    modules = [handler for type in loaded.types - cells.keys() if (handler := loaded.get(type)) is not None]
    return Registry([*cells.values(), *modules])


def registry_for(queue: Queue, handlers: Any) -> Registry:
    registry = handlers_here(queue) if handlers is None else registry_of(handlers)
    if not registry.types:
        raise HandlerError(
            "no handlers are at hand: give them, as in drain([score]) or drain('handlers.py'), mark functions in this "
            "notebook with @handler, or name modules under handlers: in jobqueue.yaml"
        )
    return registry


# All that are due


def drain(queue: Queue, handlers: Any, *, progress: bool | None, timeout: Duration | None) -> DrainCounts:
    """The body of `Queue.drain`."""
    from jobqueue.worker.chores import Chore
    from jobqueue.worker.worker import Worker

    registry, patience, started = registry_for(queue, handlers), Patience(timeout), time.monotonic()
    worker = Worker(queue, registry, types=registry.types, executor="inline", grace=0)

    def look() -> None:
        bar.show(worker.counts["done"] + worker.counts["failed"])
        if not patience.left:
            worker.stopping = True

    worker.chores.all.append(Chore(LOOK_EVERY, look))
    with Bar(queue, wanted(progress)) as bar, handing_back(worker):
        worker.run(drain=True)
    left = queue.store.counts()[Status.PENDING]
    return DrainCounts(
        done=worker.counts["done"], failed=worker.counts["failed"], left=left, seconds=time.monotonic() - started
    )


@contextmanager
def handing_back(worker: Worker) -> Iterator[None]:
    """Ctrl-C stops the worker and not its handler alone: the job goes back to pending, and the caller is interrupted."""
    from jobqueue.worker.run import HandBack

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = worker.stopping = True
        worker.store.wake()
        if worker.in_handler:
            raise HandBack

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if interrupted:
        raise KeyboardInterrupt


class Bar:
    """A bar on the terminal or in the notebook, once the drain has lasted long enough to want one."""

    def __init__(self, queue: Queue, wanted: bool) -> None:
        self.queue = queue
        self.wanted = wanted
        self.starts_at = time.monotonic() + PATIENCE
        self.stack = ExitStack()
        self.update: Callable[[int], None] | None = None

    def show(self, finished: int) -> None:
        if self.update is None and self.wanted and time.monotonic() >= self.starts_at:
            self.update = self.start()
        if self.update is not None:
            self.update(finished)

    def start(self) -> Callable[[int], None]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("running"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        progress = self.stack.enter_context(Progress(*columns, console=Console(stderr=not in_notebook()), transient=True))
        task = progress.add_task("", total=None)

        def update(finished: int) -> None:
            left = self.queue.store.counts()[Status.PENDING]
            progress.update(task, completed=finished, total=finished + left)

        return update

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()


def wanted(progress: bool | None) -> bool:
    if progress is not None:
        return progress
    return find_spec("ipywidgets") is not None if in_notebook() else sys.stderr.isatty()


def in_notebook() -> bool:
    return "ipykernel" in sys.modules and "get_ipython" in vars(sys.modules["__main__"])


# One again


def run_here(job: JobHandle[Any], function: Callable[..., Any] | Source | None) -> Any:
    """The body of `JobHandle.run_here`. What the handler tells (progress, checkpoint, items) stays in this process, on top
    of what the job has left so far; jobs that it enqueues go nowhere, with a warning."""
    record = job.record
    handler = handler_for(job.queue, record, function)
    arguments = convert_payload(handler, record.payload)
    context = JobContext(record, max(1, record.attempts), notes=notes_of(job), open_queue=nowhere, worker="run_here")
    if handler.takes_context is not None:
        arguments[handler.takes_context] = context
    token = running.set(context)
    try:
        return handler.function(**arguments)
    finally:
        running.reset(token)
        context.close()


def handler_for(queue: Queue, record: Job, given: Callable[..., Any] | Source | None) -> Handler:
    if given is not None and not isinstance(given, (str, os.PathLike)):
        return read_handler(given, mark_of(given) or HandlerMark(type=record.type))
    registry = handlers_here(queue) if given is None else Registry.load(given)
    handler = registry.get(record.type)
    if handler is None:
        known = ", ".join(sorted(registry.types)) or "none"
        raise HandlerError(
            f"no handler for the type {record.type!r} is at hand (there are: {known}); give it, as in job.run_here(score), "
            "import it into this notebook, or name its module under handlers: in jobqueue.yaml"
        )
    return handler


def notes_of(job: JobHandle[Any]) -> Any:
    """A copy of what the job has left: the handler goes on from there, and the job is not touched."""
    from jobqueue.store.memory_notes import MemoryNotes

    kept, copied = job.queue.store.notes, MemoryNotes()
    if (state := kept.checkpoint(job.id)) is not None:
        copied.set_checkpoint(job.id, state)
    for item in kept.items(job.id):
        copied.add_item(job.id, item)
    return copied


def nowhere() -> Queue:
    from jobqueue.queue.queue import Queue

    text = "run_here: jobs that the handler enqueues go to a queue in memory, which nobody runs"
    warnings.warn(text, UserWarning, stacklevel=callers_level())
    return Queue(":memory:")
