"""The Store protocol: what a queue needs of the place where its jobs lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from jobqueue.model.budget import Spent
from jobqueue.model.control import Control
from jobqueue.model.entry import AttemptEntry
from jobqueue.model.filter import Filter
from jobqueue.model.gate import Verdict
from jobqueue.model.job import Aware, Job
from jobqueue.model.limit import Limit
from jobqueue.model.retention import Resting
from jobqueue.model.status import Status
from jobqueue.model.transition import Transition
from jobqueue.store.beside import LARGEST_ARTIFACTS as LARGEST_ARTIFACTS
from jobqueue.store.beside import Log as Log
from jobqueue.store.beside import Notes as Notes
from jobqueue.store.beside import Schedules as Schedules
from jobqueue.store.beside import left_behind as left_behind
from jobqueue.store.derived import Cache, JournalFiles
from jobqueue.store.worker_info import WorkerInfo as WorkerInfo


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
    limits: tuple[str, ...] = ()
    """The limits under which it holds a place."""


class Page(msgspec.Struct, frozen=True):
    """Some of the jobs that match, and how many match in all."""

    items: list[Located]
    total: int


class Cause(msgspec.Struct, gc=False):
    """A failure without its traceback: digests of many jobs stay in memory."""

    reason: str = "error"
    type: str | None = None
    message: str = ""


class Lasted(msgspec.Struct, gc=False):
    """How long the last attempt ran, in seconds."""

    seconds: float | None = None


class Digest(msgspec.Struct, gc=False):
    """What counting needs of a job, and a row of a table. `rejected` says why the file cannot be a job (a rejected drop)."""

    type: str
    id: str = ""
    status: Status = Status.PENDING
    name: str | None = None
    project: str | None = None
    batch: str | None = None
    attempts: int = 0
    run_after: Aware | None = None
    created_at: Aware | None = None
    finished_at: Aware | None = None
    error: Cause | None = None
    ran: Lasted | None = None
    written_by: str | None = None
    rejected: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it failed, in one word."""
        return "rejected" if self.rejected is not None else None if self.error is None else self.error.reason


TAKEN_OVER = tuple(name for name in Digest.__struct_fields__ if name not in ("status", "rejected", "error", "ran"))


def digest(located: Located) -> Digest:
    """What counting and tables need of it."""
    job = located.job
    same = {name: getattr(job, name) for name in TAKEN_OVER}
    error = None if job.error is None else Cause(job.error.reason, job.error.type, job.error.message)
    ran = None if job.ran is None else Lasted(job.ran.seconds)
    return Digest(**same, status=located.status, rejected=located.reason, error=error, ran=ran)


class Put(msgspec.Struct, frozen=True):
    """What became of a job that was put: `outcome` is created, exists (the id or the key was taken: that job) or rejected
    (another job has its concurrency key: that job). `superseded` is how many others were ended for it."""

    located: Located
    outcome: str
    superseded: int = 0


class Change(msgspec.Struct, frozen=True):
    """What a verb did to one job: `outcome` is changed, cancelling (asked to stop), refused or missing; `why` for people."""

    id: str
    outcome: str
    located: Located | None = None
    why: str = ""


class Kept(NamedTuple):
    """A file of the journal and what became of it: `change` is packed or removed."""

    name: str
    size: int
    change: str


Seen = Mapping[str, Located] | None
"""How jobs were when somebody looked at them, by id."""


def asked_to_stop(executor: str) -> str:
    """What becomes of a running job that was asked to stop: only a process can be ended from outside."""
    if executor == "process":
        return "its process is ended if it does not stop"
    where = "in a thread" if executor == "thread" else "inside its worker"
    return f"it runs {where}; it stops when its handler looks at ctx.cancelled"


class Store(Protocol):
    """The contract, proved by one suite over every store (`jobqueue.testing.StoreContract`).

    Jobs come back in the order of the queue: lower priority number first, then the oldest.
    Every verb that takes ids answers with one `Change` for each, in the same order.
    """

    url: str
    features: frozenset[str]
    notes: Notes
    schedules: Schedules

    @property
    def journal_files(self) -> JournalFiles | None:
        """None where the journal is in no files: then `journal_lines` has it all."""

    @property
    def cache(self) -> Cache | None:
        """None where nothing can be kept for other processes."""

    def put(self, jobs: Sequence[Job], *, force: bool = False, given_ids: bool = False) -> list[Put]:
        """Adds jobs, each atomically; on return they are as durable as `features` says.

        A job whose idempotency key holds (unless `force`), or whose given id is known, is not added: the answer
        carries the job that exists.
        """

    def adopt(self, job: Job, status: Status) -> Located:
        """Adds a job that has finished elsewhere, as done or failed; `FileExistsError` where its id is taken."""

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

    def sweeping(self) -> Iterator[int]:
        """The same in steps of a few milliseconds."""

    def keep_journal(self, now: datetime, age: float | None, *, dry_run: bool = False) -> Iterator[Kept | None]:
        """Removes what was written longer than `age` seconds ago, and packs what is old, in steps of a few milliseconds.

        With `dry_run` it tells what would be removed. The caller has the duty `journal`.
        """

    def resting(self, status: Status, ids: Sequence[str] | None = None) -> Iterator[Resting]:
        """The jobs (or those of the `ids`) that rest with this status, unordered, one by one and without reading them."""

    def duty(self, name: str) -> AbstractContextManager[bool]:
        """A duty (`retention`) that one worker at a time has, for as long as the block lasts; False where another has it."""

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Waits until nobody else is in a block of this name, in any process, and keeps them out for as long as it lasts."""

    def wait(self, timeout: float, *, news: bool = True) -> bool:
        """Sleeps until `wake` or, with `news`, until something may have come; at most `timeout` seconds.

        A hint: plain sleeping is correct.
        """

    def wake(self) -> None:
        """Ends a `wait` in another thread."""

    def get(self, id: str) -> Located:
        """The job, or `JobNotFound`."""

    def where(self, id: str) -> Status | None:
        """The status of a job at this moment, without reading it; None where there is no such job. Waiters ask often."""

    def last(self, type: str | None = None) -> Located | None:
        """The job (of a type) that was made last; None where there is none."""

    def held(self, owner: str) -> list[Located]:
        """The jobs that an owner holds, unordered, found without a look at the rest of the queue."""

    def stalled(self) -> int:
        """How many jobs are held by owners that have died; any live worker takes them back."""

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

    def attempts(self, *, since: datetime | None = None) -> Iterable[AttemptEntry]:
        """Every finished attempt in the journal, oldest first, each once. Purging changes nothing here."""

    def journal_lines(self, *, since: datetime | None = None) -> Iterable[bytes]:
        """The journal as it was written: one JSON object a line (`jobqueue.model.entry`), unordered, some perhaps twice,
        some perhaps torn, and some perhaps older than `since`."""

    def ids(self, status: Status) -> list[str]:
        """The jobs that have this status, unordered, by one listing: a million of them take a second."""

    def counts(self) -> dict[Status, int]:
        """How many jobs each status has."""

    def digests(self, statuses: Sequence[Status], ids: Iterable[str] | None = None) -> Iterable[Digest]:
        """One for each job of these statuses, unordered; cheap when asked again, for only what changed is read.

        With `ids`, those of them that have one of the statuses, each read as it is asked for and remembered by nobody.
        """

    def judge(self, located: Located) -> Verdict:
        """Why a pending job may run now, or not: pause, time, parents, readability."""

    def position(self, id: str) -> int | None:
        """Where a pending job stands in the true order, from 1; None where it is not pending."""

    def cancel(self, ids: Sequence[str], message: str = "cancelled", *, seen: Seen = None) -> list[Change]:
        """Pending: never runs, ends failed with the reason `cancelled`. Claimed: its owner is asked to stop it.

        Here and below: a job that is no longer as it was `seen` is refused, which is checked at the last moment.
        """

    def uncancel(self, ids: Sequence[str], *, seen: Seen = None) -> list[Change]:
        """What was cancelled before a worker took it is pending again, as it was: attempts, time and place in the order."""

    def retry(self, ids: Sequence[str], *, run_after: datetime | None = None, seen: Seen = None) -> list[Change]:
        """Done or failed becomes pending with attempts 0; what happened stays in `history`."""

    def purge(
        self, ids: Sequence[str], *, where: Filter | None = None, pending: bool = False, seen: Seen = None
    ) -> list[Change]:
        """Moves finished jobs (with `pending`, waiting ones too) to the trash; checks `where` again at the last moment."""

    def restore(self, ids: Sequence[str]) -> list[Change]:
        """Takes purged jobs out of the trash, back to where they were."""

    def trashed(self) -> list[Job]:
        """The jobs that `restore` can bring back, unordered."""

    def control(self) -> Control:
        """What the queue has been told: paused or not."""

    def limits(self) -> dict[str, Limit]:
        """The limits that hold, by name: what people have said goes before what the live workers bring."""

    def spent(self) -> list[Spent]:
        """What was used of each budget in its period; those that people have set go before those of the live workers."""

    def set_control(self, control: Control) -> None:
        """Replaces it, for every worker and across restarts."""

    def change_control(self, change: Callable[[Control], Control]) -> Control:
        """Reads, changes and writes it as one step, so that two people's changes do not undo each other."""

    def close(self) -> None:
        """Lets go of everything held open. Claims still held are for `rescue`."""
