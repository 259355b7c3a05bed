"""Where handlers run: in the worker's own thread, in threads, or (the default of the command) in processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobqueue.errors import InvalidJob
from jobqueue.model.job import Job
from jobqueue.queue.context import JobContext
from jobqueue.queue.registry import Registry
from jobqueue.worker.run import Result, call, kept_surroundings

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue


class Ending(Protocol):
    """What the worker asks of a job that it has handed over."""

    def done(self) -> bool: ...

    def result(self) -> Result: ...


@dataclass(frozen=True)
class Upkeep:
    """When a process is replaced: after so many jobs, or when it holds more than so many bytes after one."""

    max_jobs: int | None = None
    max_memory: int | None = None


class Ended:
    """A call that has ended already; what the worker asks of a Future, without its locks."""

    def __init__(self, result: Result) -> None:
        self.outcome = result

    def done(self) -> bool:
        return True

    def result(self) -> Result:
        return self.outcome


class Slots:
    """Runs jobs, so many at a time. `submit` never blocks for longer than an inline job takes."""

    can_kill = False
    own_wait = False
    """Whether a worker with no slot to spare sleeps in `poll`, and is woken by `wake`."""

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Ending:
        raise NotImplementedError

    def starting(self, future: Ending) -> bool:
        """Whether the place where it shall run is not ready yet: its time does not count."""
        return False

    def kill(self, future: Ending, *, hard: bool) -> None:
        """Ends the process of a running job; where there is none to end, nothing happens."""

    def poll(self, timeout: float = 0.0) -> None:
        """Takes in what has come from where the jobs run; waits for it at most so many seconds."""

    def wake(self) -> None:
        """Ends a `poll` in another thread, or below the code that a signal has interrupted."""

    def alert(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once when there is something to `poll`."""

    def look(self) -> None:
        """Now and then: does what only time brings about."""

    def close(self, *, wait: bool = True) -> None:
        """Ends all that is left."""


class CallingSlots(Slots):
    """What calls handlers in this process has in common."""

    def __init__(self, queue: Queue, registry: Registry, owner: str) -> None:
        self.queue = queue
        self.registry = registry
        self.owner = owner

    def context(self, job: Job, attempt: int, is_cancelled: Callable[[], bool]) -> JobContext:
        notes = self.queue.store.notes
        return JobContext(job, attempt, is_cancelled, notes=notes, open_queue=lambda: self.queue, worker=self.owner)


class InlineSlots(CallingSlots):
    """One job at a time, in the thread that submits it."""

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Ended:
        handler = self.registry.get(job.type)
        assert handler is not None
        with kept_surroundings():
            return Ended(call(handler, self.context(job, attempt, is_cancelled)))


class ThreadSlots(CallingSlots):
    def __init__(self, queue: Queue, registry: Registry, owner: str, concurrency: int) -> None:
        super().__init__(queue, registry, owner)
        self.pool: Executor = ThreadPoolExecutor(concurrency, thread_name_prefix="jobqueue")

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Future[Result]:
        handler = self.registry.get(job.type)
        assert handler is not None
        return self.pool.submit(call, handler, self.context(job, attempt, is_cancelled))

    def close(self, *, wait: bool = True) -> None:
        self.pool.shutdown(wait=wait, cancel_futures=True)


def check_slots(kind: str, registry: Registry, concurrency: int) -> None:
    """Refuses what cannot work before anything is started."""
    if kind not in ("inline", "thread", "process"):
        raise InvalidJob(f"executor: {kind!r} is unknown; give inline, thread or process")
    if concurrency < 1:
        raise InvalidJob(f"concurrency: {concurrency} is out of range; give at least 1")
    if kind == "inline" and concurrency != 1:
        raise InvalidJob(f"concurrency: {concurrency} jobs at a time need the executor thread or process, not inline")
    if kind == "process" and not registry.names:
        raise InvalidJob("executor: processes need handlers that they can import; give modules or files, not functions")


def make_slots(kind: str, queue: Queue, registry: Registry, concurrency: int, owner: str, upkeep: Upkeep) -> Slots:
    """`inline`, `thread` or `process`."""
    if kind == "inline":
        return InlineSlots(queue, registry, owner)
    if kind == "thread":
        return ThreadSlots(queue, registry, owner, concurrency)
    from jobqueue.worker.processes import process_slots  # the others need none of it

    return process_slots(queue, registry, concurrency, owner, upkeep)
