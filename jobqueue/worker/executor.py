"""Where handlers run: in the worker's own thread, in threads, or (the default of the command) in processes.

Each slot of the process executor is a pool of one process, so that a crash, a timeout or a cancel ends one job and
nothing else.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from typing import Any

from jobqueue.errors import InvalidJob
from jobqueue.model.job import Failure, Job
from jobqueue.queue.registry import Registry
from jobqueue.worker.run import Result, call, flush_output, kept_surroundings

PR_SET_PDEATHSIG = 1


class Ended:
    """A call that has ended already; what the worker asks of a Future, without its locks."""

    def __init__(self, result: Result) -> None:
        self.outcome = result

    def done(self) -> bool:
        return True

    def result(self) -> Result:
        return self.outcome


Ending = Future[Result] | Ended


class Slots:
    """Runs jobs, `concurrency` at a time. `submit` never blocks for longer than an inline job takes."""

    can_kill = False

    def __init__(self, registry: Registry, concurrency: int) -> None:
        self.registry = registry
        self.concurrency = concurrency

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Ending:
        raise NotImplementedError

    def kill(self, future: Ending, *, hard: bool) -> None:
        """Ends the process of a running job; where there is none to end, nothing happens."""

    def close(self, *, wait: bool = True) -> None:
        """Ends all that is left."""


class InlineSlots(Slots):
    """One job at a time, in the thread that submits it."""

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Ended:
        handler = self.registry.get(job.type)
        assert handler is not None
        with kept_surroundings():
            return Ended(call(handler, job, attempt, is_cancelled))


class ThreadSlots(Slots):
    def __init__(self, registry: Registry, concurrency: int) -> None:
        super().__init__(registry, concurrency)
        self.pool: Executor = ThreadPoolExecutor(concurrency, thread_name_prefix="jobqueue")

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Future[Result]:
        return self.pool.submit(call, self.registry.get(job.type), job, attempt, is_cancelled)  # type: ignore[arg-type]

    def close(self, *, wait: bool = True) -> None:
        self.pool.shutdown(wait=wait, cancel_futures=True)


class HeldLock:
    """The descriptor of the worker's lock, handed to a child: the owner lives for as long as one of them does."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], HeldLock], tuple[Any]]:
        return (received_lock, (DupFd(self.descriptor),))


def received_lock(sent: Any) -> HeldLock:
    """Held by this process and no other: what a handler starts and leaves behind must not keep a dead worker alive."""
    lock = HeldLock(sent.detach())
    os.set_inheritable(lock.descriptor, False)
    os.register_at_fork(after_in_child=lambda: os.close(lock.descriptor))
    return lock


class Child:
    """The one process of a slot, and what it runs."""

    def __init__(self, names: Sequence[str], lock: HeldLock | None) -> None:
        self.pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=start_child, initargs=(tuple(names), lock)
        )
        self.process: BaseProcess | None = None
        self.doomed = False
        """A signal was sent to it: it may be dead a moment after its job has ended, so it gets no other."""

    def warm_up(self) -> None:
        """Starts the process and imports the handlers now, so that the first job need not wait for it."""
        self.pool.submit(os.getpid)
        self.process = next(iter(self.pool._processes.values()), None)

    def submit(self, *job: Any) -> Future[Result]:
        future = self.pool.submit(run_in_child, *job)
        if self.process is None:
            self.process = next(iter(self.pool._processes.values()), None)
        return future

    def signal(self, number: int) -> None:
        self.doomed = True
        process = self.process
        if process is None or process.pid is None:
            return
        try:
            os.killpg(process.pid, number)  # with whatever the handler started
        except ProcessLookupError:  # too young to lead a group
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def how_it_died(self) -> str:
        code = None if self.process is None else self.process.exitcode
        if code is None:
            return "the process of this attempt died"
        if code < 0:
            return f"the process of this attempt was killed by {signal.Signals(-code).name}"
        return f"the process of this attempt ended itself with exit code {code}"


class ProcessSlots(Slots):
    can_kill = True

    def __init__(self, registry: Registry, concurrency: int, lock: int | None = None) -> None:
        super().__init__(registry, concurrency)
        self.lock = None if lock is None else HeldLock(lock)
        self.idle = [Child(registry.names, self.lock) for _ in range(concurrency)]
        self.busy: dict[Future[Result], Child] = {}
        for child in self.idle:
            child.warm_up()

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Future[Result]:
        answer: Future[Result] = Future()
        answer.set_running_or_notify_cancel()
        while True:
            child = self.idle.pop() if self.idle else Child(self.registry.names, self.lock)
            try:
                inner = child.submit(job, attempt, cancel_mark)
                break
            except BrokenProcessPool:  # it died while it had nothing to do, which is not this job's fault
                child.pool.shutdown(wait=False)
        self.busy[answer] = child
        inner.add_done_callback(lambda done: self.settle(answer, child, done.exception(), done))
        return answer

    def settle(self, answer: Future[Result], child: Child, error: BaseException | None, done: Future[Result]) -> None:
        """Runs in the thread of the child's pool: a child that lives is used again, a dead one is replaced."""
        self.busy.pop(answer, None)
        if error is None and not child.doomed:
            self.idle.append(child)
            answer.set_result(done.result())
            return
        child.pool.shutdown(wait=False)
        if error is None:
            answer.set_result(done.result())
            return
        if isinstance(error, BrokenProcessPool):
            if child.process is not None:
                child.process.join(5)
            failure = Failure(reason="crashed", message=child.how_it_died())
        else:
            failure = Failure(type=type(error).__name__, message=f"the result could not be sent back: {error}")
        answer.set_result(Result("failed", error=failure))

    def kill(self, future: Ending, *, hard: bool) -> None:
        child = self.busy.get(future) if isinstance(future, Future) else None
        if child is not None:
            child.signal(signal.SIGKILL if hard else signal.SIGTERM)

    def close(self, *, wait: bool = True) -> None:
        for child in list(self.busy.values()):
            child.signal(signal.SIGKILL)
        for child in (*self.idle, *self.busy.values()):
            child.pool.shutdown(wait=wait, cancel_futures=True)


def start_child(names: Sequence[str], lock: HeldLock | None) -> None:
    """A child leads a process group of its own, dies with its worker, and leaves Ctrl-C to it."""
    global child_registry, child_lock
    with suppress(OSError):
        os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # it died before it could be asked to tell us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    child_lock = lock
    child_registry = Registry.load(names)


child_registry = Registry()
child_lock: HeldLock | None = None


def run_in_child(job: Job, attempt: int, cancel_mark: str) -> Result:
    handler = child_registry.get(job.type)
    if handler is None:
        return Result("failed", error=Failure(message=f"the handler of {job.type!r} is not in {child_registry.names}"))
    with kept_surroundings():
        result = call(handler, job, attempt, lambda: bool(cancel_mark) and os.path.lexists(cancel_mark))
    flush_output()
    return result


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


def make_slots(kind: str, registry: Registry, concurrency: int, life_line: int | None = None) -> Slots:
    """`inline`, `thread` or `process`."""
    if kind == "inline":
        return InlineSlots(registry, 1)
    if kind == "thread":
        return ThreadSlots(registry, concurrency)
    return ProcessSlots(registry, concurrency, life_line)
