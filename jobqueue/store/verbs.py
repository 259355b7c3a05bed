"""What people do to jobs: cancel, retry, purge, restore. Each passes through a claim folder of its own operation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec.structs import replace

from jobqueue.model.clock import Clock
from jobqueue.model.filter import Filter, status_of
from jobqueue.model.job import Failure, Job
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.transition import Transition, cancel, end, retry, uncancel
from jobqueue.store import files
from jobqueue.store.arrivals import Arrivals
from jobqueue.store.base import Change, Located, Seen, asked_to_stop
from jobqueue.store.commit import Scratch
from jobqueue.store.folder import Folder, Place
from jobqueue.store.layout import OPERATION, SUFFIX, file_name, is_job_name, job_id, owner_of, reason_name
from jobqueue.store.moving import AT_ONCE, Held, Moving, Outcome
from jobqueue.store.reading import Reading
from jobqueue.store.unchanged import changed_since, has_changed

TRIES = 100
"""How often a job that others keep moving is looked for."""
PATIENCE, A_MOMENT = 1.0, 0.0005
"""Seconds that another operation gets to end (it may be stopped), and between two looks at it."""
Decision = Callable[[Job], Transition]


class Verbs:
    """`rescue` takes back what dead owners hold."""

    def __init__(
        self,
        folder: Folder,
        scratch: Scratch,
        arrivals: Arrivals,
        reading: Reading,
        moving: Moving,
        rescue: Callable[[], object],
        clock: Clock,
    ) -> None:
        self.folder = folder
        self.scratch = scratch
        self.arrivals = arrivals
        self.reading = reading
        self.moving = moving
        self.rescue = rescue
        self.clock = clock

    def cancel(self, ids: Sequence[str], message: str = "cancelled", seen: Seen = None) -> list[Change]:
        decide: Decision = lambda job: cancel(job, self.clock.now(), message)  # noqa: E731
        changes = self.operate(ids, (Status.PENDING,), decide, "cancelled", seen)
        return [self.ask_to_stop(change, message, seen) if is_claimed(change, seen) else change for change in changes]

    def uncancel(self, ids: Sequence[str], seen: Seen = None) -> list[Change]:
        decide: Decision = lambda job: uncancel(job, self.clock.now())  # noqa: E731
        changes = self.operate(ids, (Status.FAILED,), decide, "uncancelled", seen)
        self.arrivals.announce([change.id + SUFFIX for change in changes if change.outcome == "changed"])
        return changes

    def ask_to_stop(self, change: Change, message: str, seen: Seen = None) -> Change:
        """A claimed job belongs to its owner: leave a mark, and look whether the job was still there to see it, and then
        whether the mark is: whoever ended the last round of the job may have taken it away before this one began."""
        name = change.id + SUFFIX
        for _ in range(TRIES):
            self.moving.mark_cancel(name, message)
            located = self.look(change.id)
            if located is None:
                self.moving.unmark_all([name])
                return change
            if located.status is Status.CLAIMED:
                if self.moving.cancel_asked(name):
                    return Change(change.id, "cancelling", located, self.how_it_stops(located))
            elif located.status is Status.PENDING:  # the mark stays: a claim may come before us, and see it
                again = self.cancel([change.id], message, seen)[0]
                if again.outcome in ("changed", "cancelling"):
                    return again
            elif self.withdraw(located):
                if located.job.cancelled and not in_hands(change.located):
                    return Change(change.id, "changed", located)  # it saw the mark before we could look
                return self.refused(change.id, located, "cancelled")
        return change

    def withdraw(self, ended: Located) -> bool:
        """Takes away the mark of a job that has ended, with the job in our hands: so nobody can rely on that mark meanwhile.
        False where somebody else moves the job. One whose holder is stopped cannot be had, and stays where it is."""
        if ended.owner is not None:
            self.moving.unmark_all([ended.job.id + SUFFIX])
            return True
        with self.moving.operation() as owner:
            place = self.find(ended.job.id)
            held = self.moving.seize(place, owner) if place is not None and place.status in FINISHED else None
            if held is None or place is None:
                return False
            self.moving.unmark_all([held.name])
            self.moving.move_to_free_name(self.folder.claim_folder(owner), held.name, place.folder)
        return True

    def look(self, id: str) -> Located | None:
        """What a job is where it lies. One whose end stands in it already is where it is about to go: it is waited for."""
        patience = time.monotonic() + PATIENCE
        while (place := self.find(id)) is not None:
            located = self.reading.read(place)  # None where it has moved on
            if located is not None and not has_ended(located.job, place):
                return located
            if time.monotonic() > patience:
                return None if located is None else replace(located, status=status_of(located.job))
            if place.claim_folder and not self.moving.locks.alive(owner_of(place.claim_folder)):
                self.rescue()
            time.sleep(A_MOMENT)
        return None

    def how_it_stops(self, located: Located | None) -> str:
        """What to expect of a running job that was asked to stop."""
        info = self.moving.owners.seen(located.owner) if located is not None and located.owner is not None else None
        return asked_to_stop(info.executor if info is not None else "process")

    def retry(self, ids: Sequence[str], *, run_after: datetime | None = None, seen: Seen = None) -> list[Change]:
        decide: Decision = lambda job: retry(job, self.clock.now(), run_after=run_after)  # noqa: E731
        changes = self.operate(ids, FINISHED, decide, "retried", seen)
        self.arrivals.announce([change.id + ".json" for change in changes if change.outcome == "changed"])
        return changes

    def operate(
        self, ids: Sequence[str], allowed: Sequence[Status], decide: Decision, verb: str, seen: Seen = None
    ) -> list[Change]:
        """Takes each job that is in an allowed folder into a claim folder of our own and moves it where `decide` says."""
        changes: dict[str, Change] = {}
        for start in range(0, len(ids), AT_ONCE):
            with self.moving.operation() as owner:
                outcomes: list[Outcome] = []
                for id in dict.fromkeys(ids[start : start + AT_ONCE]):
                    seized = self.seize(id, allowed, owner, verb, seen)
                    if isinstance(seized, Change):
                        changes[id] = seized
                    else:
                        outcomes.append(self.decided(*seized, decide))
                for outcome, name in zip(outcomes, self.moving.carry_out(outcomes), strict=True):
                    changes[job_id(outcome.held.name)] = self.change_of(outcome, name, verb)
        return [changes[id] for id in ids]

    def seize(
        self, id: str, allowed: Sequence[Status], owner: str, verb: str, seen: Seen = None
    ) -> tuple[Held, Place] | Change:
        """Takes a job from where it is; or says where it is instead. While others move it, it is looked for again."""
        for _ in range(TRIES):
            place = self.find(id)
            if place is None:
                break
            if place.status in allowed:
                try:
                    held = self.moving.seize(place, owner)
                except PermissionError as error:
                    return Change(id, "refused", self.reading.read(place), f"{id} cannot be moved ({error.strerror})")
                if held is not None:
                    if seen is not None and has_changed(id, self.moving.look_at(held).job, place.status, seen):
                        return self.put_back(held, place)
                    return held, place
            elif (located := self.reading.read(place)) is not None:
                return self.refused(id, located, verb)
        return Change(id, "missing", None, f"no job {id!r} in this queue")

    def find(self, id: str) -> Place | None:
        """Where a job is. One that another operation holds does not run, and where it goes is known in a moment."""
        place = self.folder.find(id)
        patience = time.monotonic() + PATIENCE
        while place is not None and place.claim_folder.startswith(OPERATION) and time.monotonic() < patience:
            if self.moving.locks.alive(place.claim_folder):
                time.sleep(A_MOMENT)
            else:
                self.rescue()
            place = self.folder.find(id)
        return place

    def put_back(self, held: Held, place: Place) -> Change:
        """It is not what the caller has looked at: where it came from, untouched."""
        self.moving.move_to_free_name(self.folder.claim_folder(held.claim_folder), held.name, place.folder)
        id = job_id(place.name)
        return Change(id, "refused", self.reading.read(place), changed_since(id, place.status))

    def refused(self, id: str, located: Located, verb: str) -> Change:
        return Change(id, "refused", located, f"{id} is {located.status} and cannot be {verb}")

    def decided(self, held: Held, place: Place, decide: Decision) -> Outcome:
        seen = self.moving.look_at(held)
        if seen.skip:  # it cannot be read now: back to where it was
            return Outcome(held, place.status)
        if place.status is Status.FAILED:
            files.remove(place.folder, reason_name(place.name))
        if seen.job is None:  # a rejected drop: back to pending/ as it is, to be looked at again
            return Outcome(held, Status.PENDING)
        transition = decide(seen.job)
        return Outcome(held, transition.to, transition)

    def change_of(self, outcome: Outcome, name: str | None, verb: str) -> Change:
        id = job_id(outcome.held.name)
        if name is None:
            return Change(id, "missing", None, f"{id} was taken away by hand")
        if outcome.transition is None:
            located = Located(Job(id=job_id(name), type="?"), outcome.to)
            if verb == "retried" and outcome.to is Status.PENDING:
                return Change(job_id(name), "changed", located)
            return Change(id, "refused", located, f"{id} cannot be read, or is no job (yet), and cannot be {verb}")
        return Change(id, "changed", Located(replace(outcome.transition.job, id=job_id(name)), outcome.to))

    def end_pending(self, endings: Sequence[tuple[str, Failure]]) -> list[str]:
        return self.moving.end_pending(endings, lambda job, error: end(job, error, self.clock.now()))

    def purge(
        self, ids: Sequence[str], *, where: Filter | None = None, pending: bool = False, seen: Seen = None
    ) -> list[Change]:
        allowed = (*FINISHED, Status.PENDING) if pending else FINISHED
        changes = {}
        with self.moving.operation() as owner:
            for id in dict.fromkeys(ids):
                taken = self.seize(id, allowed, owner, "deleted", seen)
                changes[id] = taken if isinstance(taken, Change) else self.purge_one(*taken, where)
            self.scratch.settle([*(self.folder.by_status[status] for status in allowed), self.folder.fds["trash"]])
        return [changes[id] for id in ids]

    def purge_one(self, held: Held, place: Place, where: Filter | None) -> Change:
        """In a claim folder of our own, where nobody else can change it: looked at again there; then to the trash."""
        id = job_id(place.name)
        job = self.moving.look_at(held).job
        if where is not None and (job is None or not where.matches(job)):
            self.moving.move_to_free_name(self.folder.claim_folder(held.claim_folder), place.name, place.folder)
            return Change(id, "refused", None, f"{id} has changed and is no longer what the filter asked for")
        self.moving.unmark_all([held.name])
        self.moving.to_trash(held, place.status)
        return Change(id, "changed", Located(job or Job(id=id, type="?"), place.status))

    def trashed(self) -> list[Job]:
        names = filter(is_job_name, files.names(self.folder.fds["trash"]))
        return [job for name in names if (job := self.moving.in_trash(name)) is not None]

    def restore(self, ids: Sequence[str]) -> list[Change]:
        changes = []
        trash = self.folder.fds["trash"]
        for id in ids:
            changes.append(self.restore_one(id, trash))
        self.scratch.settle(self.folder.by_status.values())
        return changes

    def restore_one(self, id: str, trash: int) -> Change:
        old_name = file_name(id)
        if old_name is None or not files.exists(trash, old_name):
            return Change(id, "missing", None, f"no job {id!r} in the trash")
        seen = self.moving.look_in_trash(old_name)
        job = seen.job
        if seen.skip:  # where it belongs is not known, and in the wrong place it might run again
            return Change(id, "refused", None, f"{id} {seen.skip}; it is left in the trash")
        if job is None:  # rejected if its reason came along; else it was waiting to be judged
            status = Status.FAILED if files.exists(trash, reason_name(old_name)) else Status.PENDING
        else:
            status = status_of(job) if job.finished else Status.PENDING
        name = self.moving.move_to_free_name(trash, old_name, self.folder.by_status[status])
        if name is None:
            return Change(id, "missing", None, f"{id} was taken out of the trash by somebody else")
        with suppress(FileNotFoundError, FileExistsError):
            files.move(trash, reason_name(old_name), self.folder.by_status[Status.FAILED], reason_name(name))
        known = job or Job(id=id, type="?")
        return Change(id, "changed", Located(replace(known, id=job_id(name)), status))


def is_claimed(change: Change, seen: Seen) -> bool:
    """Refused because the job runs, as it did when the caller looked at it."""
    if change.outcome != "refused" or change.located is None or change.located.status is not Status.CLAIMED:
        return False
    return not has_changed(change.id, change.located.job, change.located.status, seen)


def has_ended(job: Job, place: Place) -> bool:
    """Whether the end of a claimed job stands in it already, so that nobody will look for a mark any more."""
    held = place.status is Status.CLAIMED and job.finished
    return held and (job.written_by == place.claim_folder or place.claim_folder.startswith(OPERATION))


def in_hands(located: Located | None) -> bool:
    """Whether somebody's operation has it, so that it does not run."""
    return located is not None and located.owner is not None and located.owner.startswith(OPERATION)
