"""The Store protocol: what a queue needs of the place where its jobs lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from datetime import datetime
from typing import Any, Protocol

import msgspec

from jobqueue.model.control import Control
from jobqueue.model.filter import Filter
from jobqueue.model.gate import Verdict
from jobqueue.model.job import Attempt, Job
from jobqueue.model.retry import RetryPolicy
from jobqueue.model.status import Status
from jobqueue.model.transition import Transition


class Located(msgspec.Struct, frozen=True):
    """A job and where it is. `owner` is the worker (or operation) that holds a claimed one.

    `reason` is set where the file cannot be a job (a rejected drop): then `job` holds its id and the type "?".
    """

    job: Job
    status: Status
    owner: str | None = None
    reason: str | None = None
    cancelling: bool = False


class Claim(msgspec.Struct, frozen=True):
    """A job that an owner holds: nobody else may run it, move it or change it."""

    job: Job
    owner: str
    claimed_at: datetime
    token: Any = None
    """Where the store keeps it; for the store alone."""


class Page(msgspec.Struct, frozen=True):
    """Some of the jobs that match, and how many match in all."""

    items: list[Located]
    total: int


class Digest(msgspec.Struct, frozen=True):
    """What counting needs of a job. `reason` is that of a failed one, `rejected` for a dropped file that is no job."""

    status: Status
    type: str
    project: str | None = None
    attempts: int = 0
    run_after: datetime | None = None
    created_at: datetime | None = None
    reason: str | None = None


def digest(located: Located) -> Digest:
    """What counting needs of it."""
    job = located.job
    reason = "rejected" if located.reason is not None else job.error.reason if job.error is not None else None
    return Digest(located.status, job.type, job.project, job.attempts, job.run_after, job.created_at, reason)


class Put(msgspec.Struct, frozen=True):
    """What became of a job that was put: `outcome` is created or exists (the id or the key was taken)."""

    located: Located
    outcome: str


class Change(msgspec.Struct, frozen=True):
    """What a verb did to one job: `outcome` is changed, cancelling (asked to stop), refused or missing; `why` for people."""

    id: str
    outcome: str
    located: Located | None = None
    why: str = ""


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker as others see it. `types` is None where it takes every type; `alive` is asked of the kernel, never stored."""

    owner: str
    host: str
    pid: int
    started_at: datetime
    types: tuple[str, ...] | None = None
    serves_all: bool = False
    concurrency: int = 1
    executor: str = "inline"
    policies: dict[str, RetryPolicy] = {}
    handed_back: bool = False
    alive: bool = True

    def serves(self, type: str) -> bool:
        return self.types is None or type in self.types


class Store(Protocol):
    """The contract, proved by one suite over every store (`jobqueue.testing.StoreContract`).

    Jobs come back in the order of the queue: lower priority number first, then the oldest.
    Every verb that takes ids answers with one `Change` for each, in the same order.
    """

    url: str
    features: frozenset[str]

    def put(self, jobs: Sequence[Job], *, force: bool = False, given_ids: bool = False) -> list[Put]:
        """Adds jobs, each atomically; on return they are as durable as `features` says.

        A job whose idempotency key holds (unless `force`), or whose given id is known, is not added: the answer
        carries the job that exists.
        """

    def join(self, info: WorkerInfo) -> str:
        """Registers a worker and returns its owner name; it lives until `leave` or the end of the process."""

    def leave(self, owner: str) -> None:
        """Signs a worker off. What it still holds is for `rescue`."""

    def hand_back(self, owner: str) -> None:
        """Notes that what this worker still holds when it ends shall lose no attempt: it shut down, it did not crash."""

    def life_line(self, owner: str) -> int | None:
        """A descriptor that children of the worker keep open: the owner counts as alive until the last one has ended."""

    def workers(self) -> list[WorkerInfo]:
        """The live workers."""

    def claim(self, owner: str, *, limit: int = 1, types: Set[str] | None = None) -> list[Claim]:
        """Takes up to `limit` due jobs; each has one owner at most. Empty where nothing may run now."""

    def due_in(self) -> float | None:
        """Seconds until the next job that is known to wait for its time; None where there is none."""

    def extend(self, owner: str, claims: Sequence[Claim]) -> dict[str, str]:
        """A sign of life. For each claim: ok, lost, or cancel (somebody asked it to stop).

        Raises `QueueFolderError` where the owner can no longer know that it is the only one: it must stop.
        """

    def cancel_mark(self, claim: Claim) -> str:
        """A path that exists once the job was asked to stop, for a handler in another process; empty if there is none."""

    def apply(self, outcomes: Sequence[tuple[Claim, Transition]]) -> list[bool]:
        """Carries out decided moves as one group, and appends the attempts to the journal.

        False where the claim was no longer held: that result is dropped. On return the rest is as durable as
        `features` says.
        """

    def rescue(self) -> list[str]:
        """Takes back the jobs of dead owners; the ids of those that were moved."""

    def sweep(self) -> int:
        """Clears away what nobody needs any more (old trash, say); how many things. One worker does it, now and then."""

    def wait(self, timeout: float, *, news: bool = True) -> bool:
        """Sleeps until `wake` or, with `news`, until something may have come; at most `timeout` seconds.

        A hint: plain sleeping is correct.
        """

    def wake(self) -> None:
        """Ends a `wait` in another thread."""

    def get(self, id: str) -> Located:
        """The job, or `JobNotFound`."""

    def scan(
        self,
        *,
        statuses: Sequence[Status] = tuple(Status),
        where: Filter | None = None,
        order: str = "urgent",
        limit: int | None = 50,
        offset: int = 0,
    ) -> Page:
        """The jobs that match. `order` is urgent (priority, then age), newest or oldest."""

    def attempts(self, *, since: datetime | None = None) -> Iterable[tuple[str, str, Attempt]]:
        """(job id, type, attempt) for every attempt in the journal, oldest first. Purging changes nothing here."""

    def counts(self) -> dict[Status, int]:
        """How many jobs each status has."""

    def digests(self, statuses: Sequence[Status]) -> list[Digest]:
        """One for each job of these statuses, unordered; cheap when asked again, for only what changed is read."""

    def judge(self, located: Located) -> Verdict:
        """Why a pending job may run now, or not: pause, time, parents, readability."""

    def position(self, id: str) -> int | None:
        """Where a pending job stands in the true order, from 1; None where it is not pending."""

    def cancel(self, ids: Sequence[str], message: str = "cancelled") -> list[Change]:
        """Pending: never runs, ends failed with the reason `cancelled`. Claimed: its owner is asked to stop it."""

    def retry(self, ids: Sequence[str], *, run_after: datetime | None = None) -> list[Change]:
        """Done or failed becomes pending with attempts 0; what happened stays in `history`."""

    def purge(self, ids: Sequence[str], *, where: Filter | None = None, pending: bool = False) -> list[Change]:
        """Moves finished jobs (with `pending`, waiting ones too) to the trash; checks `where` again at the last moment."""

    def restore(self, ids: Sequence[str]) -> list[Change]:
        """Takes purged jobs out of the trash, back to where they were."""

    def trashed(self) -> list[Job]:
        """The jobs that `restore` can bring back, unordered."""

    def control(self) -> Control:
        """What the queue has been told: paused or not."""

    def set_control(self, control: Control) -> None:
        """Replaces it, for every worker and across restarts."""

    def change_control(self, change: Callable[[Control], Control]) -> Control:
        """Reads, changes and writes it as one step, so that two people's changes do not undo each other."""

    def close(self) -> None:
        """Lets go of everything held open. Claims still held are for `rescue`."""
