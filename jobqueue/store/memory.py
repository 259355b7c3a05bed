"""A queue without a folder, for the tests of those who use this package: the whole contract, gone with the process."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import count

from msgspec.structs import replace

from jobqueue.errors import JobNotFound, JobQueueError
from jobqueue.model import gate, transition
from jobqueue.model.budget import Spent
from jobqueue.model.clock import Clock, SystemClock
from jobqueue.model.control import Control
from jobqueue.model.entry import AttemptEntry
from jobqueue.model.filter import LONG_AGO, Filter
from jobqueue.model.gate import Verdict
from jobqueue.model.job import Job
from jobqueue.model.limit import Limit
from jobqueue.model.retention import Resting
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.transition import Transition
from jobqueue.store.base import (
    Change,
    Claim,
    Digest,
    Kept,
    Located,
    Notes,
    Page,
    Put,
    Schedules,
    Seen,
    WorkerInfo,
    asked_to_stop,
    digest,
)
from jobqueue.store.memory_bounds import MemoryBounds
from jobqueue.store.memory_jobs import copied, key_holds, live, page, rescued, resting, urgency
from jobqueue.store.memory_journal import MemoryJournal
from jobqueue.store.memory_notes import MemoryNotes
from jobqueue.store.memory_verbs import Act, May, may_cancel, may_purge, may_retry, may_uncancel, refusal, refused
from jobqueue.store.recording import Recording
from jobqueue.store.schedules import MemoryDuties, MemorySchedules


class MemoryStore:
    """Jobs in a dict under one lock. What goes in and what is claimed are copies, as if a disk lay between."""

    url = ":memory:"
    features = frozenset({"types", "filter", "order", "trash"})
    journal_files = cache = None

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._jobs: dict[str, Located] = {}
        self._trash: dict[str, Located] = {}
        self._claims: dict[int, Claim] = {}
        self._ids_of_key: defaultdict[str, list[str]] = defaultdict(list)
        self._journal = MemoryJournal()
        self.notes: Notes = MemoryNotes(self._journal)
        self._recording = Recording(self._journal, self.notes, self._clock)
        self._workers: dict[str, WorkerInfo] = {}
        self._control = Control()
        self.schedules: Schedules = MemorySchedules()
        self._duties = MemoryDuties()
        self._bounds = MemoryBounds(self._jobs, self._claims, self._workers, self._journal)
        self._tokens = count()
        self._rings = 0
        self._heard = threading.local()

    def put(self, jobs: Sequence[Job], *, force: bool = False, given_ids: bool = False) -> list[Put]:
        with self._changed:
            puts = [self._put(job, force) for job in jobs]
        self._recording.enqueued(puts)
        return puts

    def _put(self, job: Job, force: bool) -> Put:
        known = self._jobs.get(job.id) or (None if force else self._holder(job.idempotency_key))
        if known is not None:
            return Put(known, "exists")
        rivals = self._bounds.rivals(job.concurrency_key) if job.on_conflict != "wait" else []
        if rivals and job.on_conflict == "reject":
            return Put(rivals[0], "rejected")
        self.notes.forget(job.id)  # those of an earlier job with this id
        if job.idempotency_key is not None:
            self._ids_of_key[job.idempotency_key].append(job.id)
        placed = self._place(Transition(job, Status.PENDING))
        ended = [self._cancel(rival, transition.SUPERSEDED + job.id) for rival in rivals]
        return Put(placed, "created", len(ended))

    def _holder(self, key: str | None) -> Located | None:
        """The job that holds this key, the newest where `force` made several."""
        for id in reversed(self._ids_of_key.get(key or "", ())):
            located = self._jobs.get(id) or self._trash.get(id)
            if located is not None and key_holds(located, located.job.id in self._jobs, self._clock.now()):
                return located
        return None

    def _place(self, decided: Transition) -> Located:
        """The one place where a job is given a status."""
        job = copied(decided.job)
        if decided.attempt is not None:
            self._recording.attempts([(job, decided.attempt, decided.noted)])
        located = self._jobs[job.id] = Located(job, decided.to)
        self._ring()
        return located

    def adopt(self, job: Job, status: Status) -> Located:
        with self._changed:
            if job.id in self._jobs:
                raise FileExistsError(f"{job.id}: another job has this id")
            return self._place(Transition(job, status))

    def join(self, info: WorkerInfo) -> str:
        with self._changed:
            owner = info.owner or "worker"
            if owner in self._workers:
                owner += f"~{len(self._workers)}"
            self._workers[owner] = replace(info, owner=owner, alive=True)
            return owner

    def leave(self, owner: str) -> None:
        with self._changed:
            if (info := self._workers.get(owner)) is not None:
                self._workers[owner] = replace(info, alive=False)

    def hand_back(self, owner: str) -> None:
        with self._changed:
            if (info := self._workers.get(owner)) is not None:
                self._workers[owner] = replace(info, handed_back=True)

    def life_line(self, owner: str) -> int | None:
        return None

    def workers(self) -> list[WorkerInfo]:
        with self._changed:
            return [info for info in self._workers.values() if info.alive]

    def claim(self, owner: str, *, limit: int = 1, types: Set[str] | None = None) -> list[Claim]:
        with self._changed:
            if owner not in self._workers or not self._workers[owner].alive:
                raise JobQueueError(f"{owner!r} is no live worker of this queue; call join() first")
            now, claims = self._clock.now(), list[Claim]()
            for located in self._pending():
                if len(claims) >= limit:
                    break
                verdict = self._judge(located.job, now, types)
                if verdict.error is not None:
                    self._place(transition.end(located.job, verdict.error, now))
                elif verdict.action == "run":
                    claims.append(self._hold(located.job, owner, now))
                    self._bounds.started(located.job, self._control.limits, now)
            return claims

    def _hold(self, job: Job, owner: str, now: datetime) -> Claim:
        token = next(self._tokens)
        self._claims[token] = Claim(copied(job), owner, now, token)
        seen = replace(job, claimed_at=now, locked_by=owner, attempts=job.next_attempt)
        self._jobs[job.id] = Located(seen, Status.CLAIMED, owner)
        return self._claims[token]

    def _pending(self) -> list[Located]:
        return sorted((located for located in self._jobs.values() if located.status is Status.PENDING), key=urgency)

    def _judge(self, job: Job, now: datetime, types: Set[str] | None = None) -> Verdict:
        verdict = gate.judge(job, now, control=self._control, types=types, parent_state=self._parent_state)
        return verdict if verdict.action != "run" else self._bounds.judge(job, self._control.limits, now)

    def _parent_state(self, id: str) -> str:
        located = self._jobs.get(id) or self._trash.get(id)
        if located is not None and located.status in FINISHED:
            return located.status.value
        return "waiting" if id in self._jobs else "gone"

    def due_in(self) -> float | None:
        with self._changed:
            now = self._clock.now()
            due = [verdict.until for located in self._pending() if (verdict := self._judge(located.job, now)).until is not None]
            return (min(due) - now).total_seconds() if due else None

    def cancel_mark(self, claim: Claim) -> str:
        return ""

    def extend(self, owner: str, claims: Sequence[Claim]) -> dict[str, str]:
        with self._changed:
            return {claim.job.id: self._sign(claim) for claim in claims}

    def _sign(self, claim: Claim) -> str:
        if claim.token not in self._claims:
            return "lost"
        return "cancel" if self._jobs[claim.job.id].cancelling else "ok"

    def apply(self, outcomes: Sequence[tuple[Claim, Transition]]) -> list[bool]:
        with self._changed:
            return [self._apply(claim, decided) for claim, decided in outcomes]

    def _apply(self, claim: Claim, decided: Transition) -> bool:
        if self._claims.pop(claim.token, None) is None:
            return False
        if decided.to is Status.PENDING and self._jobs[claim.job.id].cancelling:
            # Whoever asked to stop it was told that it will; another attempt must not follow.
            decided = replace(transition.cancel(decided.job, self._clock.now()), attempt=decided.attempt)
        self._place(decided)
        self._control = self._bounds.settled(self._control, decided.job.type, self._clock.now())
        self.notes.ended(claim.job.id, done=decided.to is Status.DONE)
        return True

    def rescue(self) -> list[str]:
        with self._changed:
            orphans = [claim for claim in self._claims.values() if not self._workers[claim.owner].alive]
            return [claim.job.id for claim in orphans if self._apply(claim, self._rescued(claim))]

    def _rescued(self, claim: Claim) -> Transition:
        cancelling = self._jobs[claim.job.id].cancelling
        return rescued(claim, self._workers[claim.owner], self._clock.now(), cancelling, self.notes)

    def sweep(self) -> int:
        return sum(self.sweeping())

    def sweeping(self) -> Iterator[int]:
        return iter(())

    def keep_journal(self, now: datetime, age: float | None, *, dry_run: bool = False) -> Iterator[Kept | None]:
        with self._changed:
            return iter(list(self._journal.keep(now, age, dry_run)))

    def resting(self, status: Status, ids: Sequence[str] | None = None) -> Iterator[Resting]:
        with self._changed:
            return resting(self._jobs, status, ids)

    def duty(self, name: str) -> AbstractContextManager[bool]:
        return self._duties.try_hold(name)

    def alone(self, name: str) -> AbstractContextManager[None]:
        return self._duties.hold(name)

    def wait(self, timeout: float, *, news: bool = True) -> bool:
        with self._changed:
            heard = getattr(self._heard, "rings", 0)
            rung = self._changed.wait_for(lambda: self._rings != heard, timeout)
            self._heard.rings = self._rings
            return rung

    def wake(self) -> None:
        with self._changed:
            self._ring()

    def _ring(self) -> None:
        self._rings += 1  # counted, so that a ring between a claim and the wait behind it is heard
        self._changed.notify_all()

    def get(self, id: str) -> Located:
        with self._changed:
            if id not in self._jobs:
                raise JobNotFound(id, "it was purged, and restore() brings it back" if id in self._trash else "")
            return live(self._jobs[id], self.notes)

    def where(self, id: str) -> Status | None:
        with self._changed:
            located = self._jobs.get(id)
            return None if located is None else located.status

    def last(self, type: str | None = None) -> Located | None:
        with self._changed:
            found = [located for located in self._jobs.values() if type is None or located.job.type == type]
            return max(found, key=lambda located: located.job.created_at or LONG_AGO, default=None)

    def held(self, owner: str) -> list[Located]:
        with self._changed:
            return [self._jobs[claim.job.id] for claim in self._claims.values() if claim.owner == owner]

    def stalled(self) -> int:
        with self._changed:
            return sum(not self._workers[claim.owner].alive for claim in self._claims.values())

    def scan(
        self,
        *,
        statuses: Sequence[Status] = tuple(Status),
        where: Filter | None = None,
        order: str = "urgent",
        limit: int | None = 50,
        offset: int = 0,
    ) -> Page:
        with self._changed:
            found = [live(located, self.notes) for located in self._jobs.values() if located.status in statuses]
        return page(found, where, order, limit, offset)

    def attempts(self, *, since: datetime | None = None) -> Iterator[AttemptEntry]:
        return self._journal.attempts(since)

    def journal_lines(self, *, since: datetime | None = None) -> Iterator[bytes]:
        return self._journal.lines()

    def ids(self, status: Status) -> list[str]:
        with self._changed:
            return [id for id, located in self._jobs.items() if located.status is status]

    def counts(self) -> dict[Status, int]:
        return {status: len(self.ids(status)) for status in Status}

    def digests(self, statuses: Sequence[Status], ids: Iterable[str] | None = None) -> list[Digest]:
        with self._changed:
            known = self._jobs.values() if ids is None else [self._jobs[id] for id in ids if id in self._jobs]
            return [digest(located) for located in known if located.status in statuses]

    def judge(self, located: Located) -> Verdict:
        with self._changed:
            return self._judge(located.job, self._clock.now())

    def position(self, id: str) -> int | None:
        with self._changed:
            return next((place for place, located in enumerate(self._pending(), 1) if located.job.id == id), None)

    def _each(self, what: str, ids: Sequence[str], act: Act, may: May, seen: Seen) -> list[Change]:
        with self._changed:
            changes = [refusal(id, self._jobs.get(id), may, seen) or act(self._jobs[id]) for id in ids]
        self._recording.changed(what, changes)
        return changes

    def _changed_to(self, decided: Transition) -> Change:
        return Change(decided.job.id, "changed", self._place(decided))

    def cancel(self, ids: Sequence[str], message: str = "cancelled", *, seen: Seen = None) -> list[Change]:
        return self._each("cancel", ids, lambda located: self._cancel(located, message), may_cancel, seen)

    def _cancel(self, located: Located, message: str) -> Change:
        if located.status is Status.PENDING:
            return self._changed_to(transition.cancel(located.job, self._clock.now(), message))
        asked = self._jobs[located.job.id] = replace(located, cancelling=True)
        info = self._workers.get(located.owner or "")
        return Change(asked.job.id, "cancelling", asked, asked_to_stop(info.executor if info is not None else "process"))

    def uncancel(self, ids: Sequence[str], *, seen: Seen = None) -> list[Change]:
        back: Act = lambda located: self._changed_to(transition.uncancel(located.job, self._clock.now()))  # noqa: E731
        return self._each("restore", ids, back, may_uncancel, seen)

    def retry(self, ids: Sequence[str], *, run_after: datetime | None = None, seen: Seen = None) -> list[Change]:
        again: Act = lambda one: self._changed_to(transition.retry(one.job, self._clock.now(), run_after=run_after))  # noqa: E731
        return self._each("retry", ids, again, may_retry, seen)

    def purge(
        self, ids: Sequence[str], *, where: Filter | None = None, pending: bool = False, seen: Seen = None
    ) -> list[Change]:
        return self._each("purge", ids, self._purge, may_purge(where, pending), seen)

    def _purge(self, located: Located) -> Change:
        self._trash[located.job.id] = self._jobs.pop(located.job.id)
        return Change(located.job.id, "changed", located)

    def trashed(self) -> list[Job]:
        with self._changed:
            return [located.job for located in self._trash.values()]

    def restore(self, ids: Sequence[str]) -> list[Change]:
        with self._changed:
            changes = [self._restore(id) for id in ids]
        self._recording.changed("restore", changes)
        return changes

    def _restore(self, id: str) -> Change:
        if id not in self._trash:
            return Change(id, "missing", why="it is not in the trash")
        if id in self._jobs:
            return refused(self._jobs[id], "another job has taken its id")
        located = self._jobs[id] = self._trash.pop(id)
        self._ring()
        return Change(id, "changed", located)

    def control(self) -> Control:
        return self._control.at(self._clock.now())

    def limits(self) -> dict[str, Limit]:
        with self._changed:
            return self._bounds.limits(self._control.limits)

    def spent(self) -> list[Spent]:
        with self._changed:
            return self._bounds.spent(self._control, self._clock.now())

    def set_control(self, control: Control) -> None:
        with self._changed:
            self._recording.ruled(self._control, control)
            self._control = control
            self._ring()

    def change_control(self, change: Callable[[Control], Control]) -> Control:
        with self._changed:
            self.set_control(change(self._control))
            return self._control

    def close(self) -> None:
        for info in self.workers():
            self.leave(info.owner)
