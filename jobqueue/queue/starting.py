"""`ensure_worker`: a live worker that serves some handlers, found or started."""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jobqueue.errors import HandlerError, Unsupported, WorkerNotStarted
from jobqueue.model.times import Duration
from jobqueue.queue.handler import require_importable
from jobqueue.queue.registry import Registry
from jobqueue.queue.seen import WorkerHandle
from jobqueue.queue.waiting import Pace, Patience
from jobqueue.store.launching import Launched, launch, one_at_a_time
from jobqueue.store.spool import Spool

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue

Source = str | os.PathLike[str] | ModuleType | Callable[..., Any]
"""Where handlers are: a module's name, a .py file, an imported module, or a marked function that can be imported."""


def ensure_worker(
    queue: Queue,
    handlers: Source | Iterable[Source] | None,
    *,
    concurrency: int | None,
    types: Iterable[str] | None,
    reload: bool,
    wait: Duration,
) -> WorkerHandle:
    """The body of `Queue.ensure_worker`."""
    store, patience = queue.store, Patience(wait)
    if not isinstance(store, Spool):
        raise Unsupported(f"{store.url}: no other process can see this queue; run its jobs here, with queue.drain()")
    sources = sources_of(handlers) or queue.config.handlers
    chosen = None if types is None else tuple(types)
    wanted = frozenset(chosen or (Registry.load(sources).types if sources else ()))
    if (found := serving(queue, wanted)) is not None:
        return found
    if not sources:
        raise HandlerError(
            "no worker is alive, and a new one needs handlers: give their module or file, such as handlers.py, or name it "
            "under handlers: in jobqueue.yaml"
        )
    with one_at_a_time(store):
        if (found := serving(queue, wanted)) is not None:
            return found
        launched = launch(store, [*command(queue, sources, concurrency, chosen), *(["--reload"] if reload else [])])
        return signed_on(queue, launched, patience)


def sources_of(handlers: Source | Iterable[Source] | None) -> tuple[str, ...]:
    if handlers is None:
        return ()
    alone = isinstance(handlers, (str, os.PathLike, ModuleType)) or callable(handlers)
    several: Iterable[Any] = [handlers] if alone else handlers  # type: ignore[assignment]
    return tuple(dict.fromkeys(source_of(one) for one in several))


def source_of(one: Source) -> str:
    """A module's name or file, as another process can load it."""
    if isinstance(one, (str, os.PathLike)):
        return os.fspath(one)
    if not isinstance(one, ModuleType):
        require_importable(one)
        one = sys.modules[one.__module__]
    return inspect.getsourcefile(one) or one.__name__


def serving(queue: Queue, types: frozenset[str]) -> WorkerHandle | None:
    """A live worker that serves all of these types."""
    return next((worker for worker in queue.workers() if not worker.handed_back and all(map(worker.serves, types))), None)


def command(queue: Queue, sources: Iterable[str], concurrency: int | None, types: tuple[str, ...] | None) -> list[str]:
    """A worker says little unless it is asked to: nobody reads along, and nobody trims what it says."""
    level = "warning" if queue.config.log_level == "info" else queue.config.log_level
    words = [sys.executable, "-m", "jobqueue.worker", "--queue", queue.store.url, "--log-level", level]
    for source in sources:
        words += ["--handlers", source]
    if types is not None:
        words += ["--types", ",".join(types)]
    if concurrency is not None:
        words += ["--concurrency", str(concurrency)]
    return words


def signed_on(queue: Queue, launched: Launched, patience: Patience) -> WorkerHandle:
    """The worker that was started, once it is at work; raises `WorkerNotStarted` with what it said last."""
    process, pace = launched.process, Pace()
    while True:
        for worker in queue.workers():
            if worker.pid == process.pid:
                return worker
        if (code := process.poll()) is not None:
            problem = f"the worker that was started ended at once, with exit code {code}; mend what it says"
            break
        if not patience.left:
            process.kill()
            problem = f"the worker that was started had not signed on after {patience.given} and was ended; give wait= more"
            break
        time.sleep(pace.after(0.0, False))
    said = launched.last_words() or "(nothing)"
    raise WorkerNotStarted(f"{problem}. What it said ({launched.output}):\n{said}")
