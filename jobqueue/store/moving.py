"""Every move out of claimed/: finishing, rescuing, and the operations of people (cancel, retry, purge).

All of them go one way: what is to be written goes to temporary files and to disk, changes places with the files in the
claim folder, and is renamed to where it belongs, as one group with shared syncs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from msgspec.structs import replace

from jobqueue.inert import inert, inert_logger, shell_word
from jobqueue.model.clock import Clock
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.transition import Transition, cancel, said_why
from jobqueue.store import files
from jobqueue.store.base import Notes
from jobqueue.store.codec import encode
from jobqueue.store.commit import FULL, Scratch
from jobqueue.store.folder import Folder, Place
from jobqueue.store.intake import GONE, Look, look
from jobqueue.store.layout import (
    REASON,
    SUFFIX,
    copy_name,
    file_name,
    free_name,
    is_ours,
    job_id,
    reason_name,
)
from jobqueue.store.locks import Locks, new_owner
from jobqueue.store.owners import Owners
from jobqueue.store.recording import Recording

log = inert_logger("jobqueue")

COARSE_CLOCK = 20_000_000
AT_ONCE = 1000
"""Jobs in one group: enough to share the syncs, few enough to keep memory and the time to the first result small."""


class Held(NamedTuple):
    """A file in a claim folder whose lock we hold."""

    claim_folder: str
    name: str


class Outcome(NamedTuple):
    """A decided move of a held file; without `transition` the file is moved as it is, to `to`."""

    held: Held
    to: Status
    transition: Transition | None = None
    attempt: tuple[Job, Attempt] | None = None

    @property
    def may_have_items(self) -> bool:
        return self.transition is None or self.transition.noted


class Moving:
    def __init__(
        self,
        folder: Folder,
        locks: Locks,
        scratch: Scratch,
        owners: Owners,
        recording: Recording,
        clock: Clock,
        notes: Notes,
    ) -> None:
        self.folder = folder
        self.locks = locks
        self.scratch = scratch
        self.owners = owners
        self.recording = recording
        self.clock = clock
        self.notes = notes
        self.marks_seen = (-1, False)
        self.said_last = ""

    def carry_out(self, outcomes: Sequence[Outcome]) -> list[str | None]:
        """Moves a group; for each the name it got, or None where its file was no longer there."""
        results: list[str | None] = []
        for start in range(0, len(outcomes), AT_ONCE):
            group = outcomes[start : start + AT_ONCE]
            try:
                results += self.carry_out_group(group)
            except OSError as error:
                if error.errno not in FULL or len(group) == 1:
                    raise
                # A full disk: one by one, each in the reserve that the one before has left.
                results += [self.carry_out_group([outcome])[0] for outcome in group]
        return results

    def carry_out_group(self, outcomes: Sequence[Outcome]) -> list[str | None]:
        written = [outcome for outcome in outcomes if outcome.transition is not None]
        temporary = self.scratch.write([self.body(outcome) for outcome in written], reserve=True)
        try:
            lost_ones = self.exchange(written, temporary)
            self.recording.attempts(
                (*outcome.attempt, outcome.may_have_items)
                for outcome in outcomes
                if outcome.attempt and outcome.held not in lost_ones
            )
            self.unmark_all(one.held.name for one in outcomes if one.to in FINISHED and one.held not in lost_ones)
            names = [None if outcome.held in lost_ones else self.publish(outcome) for outcome in outcomes]
            self.scratch.settle({self.folder.by_status[outcome.to] for outcome in outcomes}, self.witness(outcomes, names))
        finally:
            self.scratch.discard(temporary)  # after the exchange these are the old bodies
        return names

    def witness(self, outcomes: Sequence[Outcome], names: Sequence[str | None]) -> tuple[int, str] | None:
        """One file of the group that was put in place."""
        placed = ((self.folder.by_status[outcome.to], name) for outcome, name in zip(outcomes, names, strict=True) if name)
        return next(placed, None)

    def body(self, outcome: Outcome) -> bytes:
        assert outcome.transition is not None
        return encode(replace(outcome.transition.job, written_by=outcome.held.claim_folder))

    def exchange(self, written: Sequence[Outcome], temporary: Sequence[str]) -> set[Held]:
        """Puts the new bodies in place of the old ones: from here on a crash rolls forward. Returns what was gone."""
        lost_ones = set()
        for outcome, name in zip(written, temporary, strict=True):
            try:
                target = self.folder.claim_folder(outcome.held.claim_folder)
                files.swap(self.scratch.folder, name, target, outcome.held.name)
            except FileNotFoundError:
                if not files.exists(self.scratch.folder, name):
                    raise  # not the job is gone but our temporary file: the outcome must be written again
                lost_ones.add(outcome.held)
        return lost_ones

    def publish(self, outcome: Outcome) -> str | None:
        source = self.folder.claim_folder(outcome.held.claim_folder)
        new_name = outcome.held.name
        if outcome.to in FINISHED and not is_ours(new_name):  # a dropped file may have the name of a job that has ended
            other = self.folder.by_status[Status.DONE if outcome.to is Status.FAILED else Status.FAILED]
            new_name = free_name(new_name, lambda other_name: files.exists(other, other_name))
        return self.move_to_free_name(source, outcome.held.name, self.folder.by_status[outcome.to], new_name)

    def move_to_free_name(self, source: int, name: str, target: int, new_name: str = "") -> str | None:
        """Moves a file under its own name (or `new_name`), or the next free one like it; None where it is gone."""
        new_name = new_name or name
        while True:
            try:
                files.move(source, name, target, new_name)
                return new_name
            except FileExistsError:
                new_name = free_name(copy_name(new_name), lambda other_name: files.exists(target, other_name))
            except FileNotFoundError:
                return None
            except OSError as error:  # a folder may need one more block for a name
                if error.errno not in FULL or not self.scratch.make_room():
                    raise

    # -- marks: somebody asked a running job to stop

    def mark_cancel(self, name: str, message: str) -> None:
        with suppress(FileExistsError):
            files.write_new(self.folder.fds["cancel"], name, message.encode("utf-8", "backslashreplace"))
        self.scratch.settle([self.folder.fds["cancel"]])

    def unmark(self, name: str) -> None:
        files.remove(self.folder.fds["cancel"], name)

    def cancel_asked(self, name: str) -> bool:
        """Whether a mark is there for this job."""
        return self.any_marks() and files.exists(self.folder.fds["cancel"], name)

    def any_marks(self) -> bool:
        """One `stat` of the folder answers for as long as nobody cancels anything."""
        folder = self.folder.fds["cancel"]
        mtime = os.fstat(folder).st_mtime_ns
        if self.marks_seen[0] != mtime:
            try:
                any_marks = bool(files.names(folder))
            except OSError:  # no descriptor is left, or the disk errs: then each job's own mark is looked for
                return True
            # An mtime is coarse: a mark made in the same tick as the listing would go unseen.
            fresh = time.time_ns() - mtime < COARSE_CLOCK
            self.marks_seen = (-1 if any_marks or fresh else mtime, any_marks)
        return self.marks_seen[1]

    # -- finishing

    def finish(self, outcomes: Sequence[tuple[Held, Transition]]) -> list[str | None]:
        """What a worker decided about its own claims. A cancel that was asked for in time turns a retry into an end."""
        decided = []
        any_marks = self.any_marks()
        for held, transition in outcomes:
            asked = any_marks and self.cancel_asked(held.name)
            if asked and transition.to is Status.PENDING:
                transition = Transition(cancel(transition.job, self.clock.now()).job, Status.FAILED, transition.attempt)
            if asked and transition.job.cancelled:
                transition = said_why(transition, self.why_cancelled(held.name))
            attempt = (transition.job, transition.attempt) if transition.attempt is not None else None
            decided.append(Outcome(held, transition.to, transition, attempt))
        return self.carry_out(decided)

    def why_cancelled(self, name: str) -> str:
        """What whoever asked a job to stop has said."""
        try:
            return files.read_small(self.folder.fds["cancel"], name).decode("utf-8", "replace")
        except OSError:
            return ""

    def unmark_all(self, names: Iterable[str]) -> None:
        """For jobs that nobody looks for a mark of any more: it would end them again when somebody retries them.

        Once their end stands in their claim folders, before they move, so that no crash leaves one; whoever marks a job
        looks afterwards whether its end stood there already.
        """
        marks = self.folder.fds["cancel"]
        marked = [name for name in names if files.exists(marks, name)] if self.any_marks() else []
        for name in marked:
            self.unmark(name)
        if marked:
            self.scratch.settle([marks])

    # -- operations of people

    @contextmanager
    def operation(self) -> Iterator[str]:
        """A claim folder of our own for as long as the block lasts; a crash inside is undone or finished by `rescue`."""
        owner = new_owner("op")
        self.locks.take(owner)
        try:
            self.folder.make_claim_folder(owner)
            yield owner
        finally:
            if self.folder.drop_claim_folder(owner):
                self.locks.drop(owner)
            else:  # something could not be moved out: the next rescue does it
                self.locks.release(owner)

    def seize(self, place: Place, owner: str) -> Held | None:
        """Takes a file out of a shared folder: one rename, and nobody else can have it. None = somebody was faster."""
        try:
            files.move(place.folder, place.name, self.folder.claim_folder(owner), place.name)
        except FileNotFoundError:
            return None
        return Held(owner, place.name)

    def try_seize(self, name: str, owner: str, fixed: list[str]) -> Held | None:
        """Takes a file out of pending/; notes the name of one that may not be moved."""
        try:
            return self.seize(Place(Status.PENDING, self.folder.pending, name), owner)
        except OSError as error:
            if not files.is_fixed(error):
                raise
            fixed.append(name)
            return None

    def look_at(self, held: Held) -> Look:
        return look(self.folder.claim_folder(held.claim_folder), held.name)

    def end_pending(self, endings: Sequence[tuple[str, Failure]], decide: Callable[[Job, Failure], Transition]) -> list[str]:
        """Jobs that will never run (expired, skipped, cancelled while they were moving) go to failed.

        Returns the names that may not be moved.
        """
        fixed: list[str] = []
        with self.operation() as owner:
            outcomes = []
            for id, error in endings:
                if (held := self.try_seize(id + SUFFIX, owner, fixed)) is not None:
                    job = self.look_at(held).job
                    transition = decide(job, error) if job is not None else None
                    outcomes.append(Outcome(held, transition.to if transition else Status.PENDING, transition))
            self.carry_out(outcomes)
        return fixed

    def set_aside(self, rejects: Sequence[tuple[str, str]]) -> list[str]:
        """Dropped files that cannot be jobs: to failed/ with their bytes untouched and the reason beside them.

        Returns the names that may not be moved.
        """
        fixed: list[str] = []
        with self.operation() as owner:
            held = [(self.try_seize(name, owner, fixed), problem) for name, problem in rejects]
            self.set_held_aside([(one, problem) for one, problem in held if one is not None])
        return fixed

    def set_held_aside(self, rejects: Sequence[tuple[Held, str]]) -> None:
        """First all reasons, made durable by one sync; then the files."""
        failed = self.folder.by_status[Status.FAILED]
        placed = [(held, self.write_reason(held.name, problem)) for held, problem in rejects]
        if placed and self.scratch.durable:
            files.sync_file_system(failed)
        for held, name in placed:
            files.move(self.folder.claim_folder(held.claim_folder), held.name, failed, name)
        self.scratch.settle([failed])

    def write_reason(self, name: str, problem: str) -> str:
        """Writes why a file is set aside; returns the name under which it shall lie in failed/."""
        failed = self.folder.by_status[Status.FAILED]
        done = self.folder.by_status[Status.DONE]
        name = free_name(name, lambda other: files.exists(failed, other) or files.exists(done, other) or self.has_reason(other))
        text = f"{inert(problem)}\n\nThis file was dropped into pending/ and cannot be a job. Mend it and move it back there:\n"
        text += f"    mv {shell_word('failed/' + name)} pending/\n"
        files.write_new(failed, reason_name(name), text.encode("utf-8", "surrogateescape"))
        log.warning("set aside %s: %s", name, problem)
        return name

    def has_reason(self, name: str) -> bool:
        """Whether the name of its reason is taken. One whose file was moved back to pending/ has done its duty."""
        failed = self.folder.by_status[Status.FAILED]
        reason = reason_name(name)
        if reason == job_id(name) + REASON and not files.exists(failed, name):
            files.remove(failed, reason)
            return False
        return files.exists(failed, reason)

    # -- the trash

    def to_trash(self, held: Held, status: Status) -> None:
        """Out of sight, but not gone: `restore` brings it back for as long as the trash is kept."""
        source, trash = self.folder.claim_folder(held.claim_folder), self.folder.fds["trash"]
        if files.exists(trash, held.name):  # an older job of this name steps aside: `restore` brings back the latest
            self.move_to_free_name(trash, held.name, trash)
        self.move_to_free_name(source, held.name, trash)
        if status is Status.FAILED:
            self.move_reason(held.name, self.folder.by_status[status], self.folder.fds["trash"])

    def move_reason(self, name: str, source: int, target: int) -> None:
        with suppress(FileNotFoundError, FileExistsError):
            files.move(source, reason_name(name), target, reason_name(name))

    def in_trash(self, name: str) -> Job | None:
        return self.look_in_trash(name).job

    def look_in_trash(self, name: str) -> Look:
        """`name` may come out of a file that others can write to: only the name of a job is looked for."""
        return look(self.folder.fds["trash"], name) if file_name(job_id(name)) == name else GONE
