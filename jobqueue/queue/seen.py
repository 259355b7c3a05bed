"""A live worker as others see it: who it is, what it runs, and a way to stop it."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobqueue.errors import StillRunning, Unsupported
from jobqueue.inert import inert
from jobqueue.model.limit import Budget, Limit
from jobqueue.model.retry import RetryPolicy
from jobqueue.model.status import Status
from jobqueue.model.times import Duration, short
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.showing import mimebundle
from jobqueue.queue.waiting import Pace, Patience
from jobqueue.store.base import Located, Store, WorkerInfo
from jobqueue.store.locks import host

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue


class WorkerHandle:
    """One worker of a queue. What it said when it signed on does not change; `alive` and `running` look at this moment.

    `types` are those it has handlers for (None: every type), `concurrency` how many jobs it runs at a time.
    """

    def __init__(self, queue: Queue, info: WorkerInfo) -> None:
        self.queue = queue
        self.info = info
        self.owner: str = info.owner
        self.host: str = info.host
        self.pid: int = info.pid
        self.started_at: datetime = info.started_at
        self.types: tuple[str, ...] | None = info.types
        self.serves_all: bool = info.serves_all
        self.concurrency: int = info.concurrency
        self.executor: str = info.executor
        self.policies: dict[str, RetryPolicy] = info.policies
        self.limits: dict[str, Limit] = info.limits
        self.budgets: dict[str, tuple[Budget, ...]] = info.budgets
        self.handed_back: bool = info.handed_back

    @property
    def name(self) -> str:
        """What claims, logs and `why` call it."""
        return self.owner

    @property
    def slots(self) -> int:
        """How many jobs it runs at a time."""
        return self.concurrency

    @property
    def age(self) -> timedelta:
        return self.queue.clock.now() - self.started_at

    @property
    def alive(self) -> bool:
        """Whether its lock is held at this moment."""
        return any(info.owner == self.owner for info in self.queue.store.workers())

    @property
    def running(self) -> list[JobHandle[Any]]:
        """The jobs it holds, the longest first."""
        held = sorted(held_by(self.queue.store, self.owner), key=lambda located: located.job.claimed_at or self.started_at)
        return [JobHandle(self.queue, located) for located in held]

    def serves(self, type: str) -> bool:
        return self.info.serves(type)

    def stop(self, *, now: bool = False, wait: Duration | None = None) -> None:
        """Asks its process to end: it claims no more, running jobs get its grace time (none with `now`), the rest is
        handed back, and no attempt is lost.

        With `wait` this returns when it has signed off, or raises `StillRunning`. Raises `Unsupported` for a worker on
        another host, of another user, or in a thread of this process.
        """
        self.refuse_strangers()
        if not self.alive:
            return
        try:
            for number in (signal.SIGTERM, signal.SIGINT) if now else (signal.SIGTERM,):  # two of a kind may become one
                os.kill(self.pid, number)
        except PermissionError:
            raise Unsupported(f"worker {self.owner}: process {self.pid} belongs to another user; ask them") from None
        except ProcessLookupError:
            pass
        if wait is not None:
            self.wait_for_end(Patience(wait))

    def refuse_strangers(self) -> None:
        if self.host != host():
            raise Unsupported(f"worker {self.owner}: runs on the host {self.host}; stop it there: kill {self.pid}")
        if self.pid <= 1:  # it stands in a file; to the kernel, 0 and -1 are whole groups of processes
            raise Unsupported(f"worker {self.owner}: {self.pid} is no process of a worker; its file is not to be trusted")
        if self.pid == os.getpid():
            raise Unsupported(f"worker {self.owner}: runs in this very process; call the stop() of its Worker object")

    def wait_for_end(self, patience: Patience) -> None:
        pace = Pace()
        while self.alive:
            if not patience.left:
                raise StillRunning(f"worker {self.owner} has not ended in {patience.given}; it lets its running jobs finish")
            time.sleep(pace.after(0.0, False))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkerHandle) and (self.owner, self.queue.store.url) == (other.owner, other.queue.store.url)

    def __hash__(self) -> int:
        return hash(self.owner)

    def __repr__(self) -> str:
        types = "every type" if self.types is None else ", ".join(self.types)
        running = len(self.queue.store.held(self.owner))
        busy = f"{running} of {self.slots} slot{'' if self.slots == 1 else 's'} busy"
        return inert(f"<Worker {self.owner} on {self.host}, {short(self.age)} old: {busy}, serves {types}>")

    _repr_mimebundle_ = mimebundle


class Workers(list[WorkerHandle]):
    """The live workers of a queue at one moment; in a notebook they are shown as they are at each moment."""

    def __init__(self, queue: Queue) -> None:
        super().__init__(WorkerHandle(queue, info) for info in queue.store.workers())
        self.queue = queue

    _repr_mimebundle_ = mimebundle


def held_by(store: Store, owner: str) -> list[Located]:
    """The jobs that a worker runs: those whose outcome stands already are on their way out."""
    return [located for located in store.held(owner) if located.status is Status.CLAIMED and not located.job.finished]
