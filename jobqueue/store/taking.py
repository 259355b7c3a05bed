"""The claim itself: one rename into a claim folder of one's own, under the locks of the limits that concern the job."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from jobqueue.model.gate import Verdict
from jobqueue.model.job import Failure, Job
from jobqueue.model.limit import KEY, Limit
from jobqueue.store import files
from jobqueue.store.base import Claim
from jobqueue.store.folder import Folder
from jobqueue.store.index import LEAVING, Index
from jobqueue.store.intake import Look
from jobqueue.store.layout import SECOND, copy_name, free_name, is_ours, job_id
from jobqueue.store.limiting import Limiting, Places
from jobqueue.store.lines import LOCKED_FOR, LOOK_EVERY, Lines
from jobqueue.store.strangers import Strangers


class Taking:
    """`endings` are the jobs that turned out never to run: whoever claims moves them away, in groups.

    `supersede` asks the jobs that hold a key to make way for another.
    """

    def __init__(
        self,
        folder: Folder,
        index: Index,
        lines: Lines,
        limiting: Limiting,
        strangers: Strangers,
        cancel_asked: Callable[[str], bool],
        supersede: Callable[[Sequence[str], str], object],
    ) -> None:
        self.folder = folder
        self.index = index
        self.lines = lines
        self.limiting = limiting
        self.strangers = strangers
        self.cancel_asked = cancel_asked
        self.supersede = supersede
        self.superseded: dict[str, str] = {}
        self.endings: list[tuple[str, Failure]] = []

    def claim_for(self, owner: str, name: str, job: Job, now: datetime) -> Claim:
        """The claim as it will be, should the rename succeed."""
        claim_folder = owner + SECOND if job.written_by == owner else owner
        return Claim(job, owner, now, (claim_folder, name if is_ours(name) else self.free_name(name)))

    def try_take(self, name: str, seen: Look, claim: Claim) -> Claim | None:
        """None where somebody else was faster, a limit is closed, or it turns out to be no claim."""
        limits = self.limiting.on(claim.job)
        return self.take_limited(name, seen, claim, limits) if limits else self.take(name, seen, claim)

    def take(self, name: str, seen: Look, claim: Claim) -> Claim | None:
        claim_folder, new_name = claim.token
        target = self.folder.claim_folder(claim_folder)
        try:
            new_name = self.move(name, target, new_name)
        except FileNotFoundError:
            self.index.forget(name)
            return None
        except OSError as error:
            if not files.is_fixed(error):
                raise
            self.strangers.put_aside(name, Look(skip=f"cannot be moved ({error.strerror})"))
            return None
        self.index.forget(name)
        if new_name != name:
            claim = replace(claim, job=replace(claim.job, id=job_id(new_name)), token=(claim_folder, new_name))
        return self.check(target, new_name, name, seen, claim)

    def move(self, name: str, target: int, new_name: str) -> str:
        """The rename that is the claim; a name that runs here already gets a number behind it."""
        while True:
            try:
                files.move(self.folder.pending, name, target, new_name)
                return new_name
            except FileExistsError:
                new_name = copy_name(new_name)

    def check(self, target: int, name: str, old_name: str, seen: Look, claim: Claim) -> Claim | None:
        """What was moved must be what was read: an editor may have put another file in its place in between, or another
        worker the same job after an attempt. What goes back gets its old name again: by that its owner knows it."""
        try:
            taken = os.stat(name, dir_fd=target, follow_symlinks=False)
        except FileNotFoundError:  # taken away by hand at once
            return None
        if (taken.st_ino, taken.st_mtime_ns, taken.st_size) != seen.mark:
            self.index.add(self.put_back(target, name, old_name))
            return None
        if self.cancel_asked(name):  # not into the index again: this very pass would take it again, and again
            back = self.put_back(target, name, old_name)
            self.index.keep(back, LEAVING)
            self.endings.append((job_id(back), Failure(reason="cancelled", message="cancelled")))
            return None
        return claim

    def put_back(self, target: int, name: str, new_name: str) -> str:
        """Out of the claim folder, back to pending/; the name that it got there."""
        while True:
            try:
                files.move(target, name, self.folder.pending, new_name)
                return new_name
            except FileExistsError:
                new_name = copy_name(new_name)

    def free_name(self, name: str) -> str:
        """A dropped file keeps its name unless another job, running or finished, has it already."""
        return free_name(name, self.folder.taken)

    # -- under limits

    def take_limited(self, name: str, seen: Look, claim: Claim, limits: Mapping[str, Limit]) -> Claim | None:
        """All limits are locked while it is checked, written and taken; one that is closed makes the job wait in its line."""
        closed = self.lines.closed_one(limits)
        if closed is not None and not minds_conflicts(claim.job, name):
            self.lines.join(name, closed)
            return None
        with self.limiting.locked(limits) as places:
            if isinstance(places, str):
                self.lines.close(places, LOCKED_FOR)
                self.lines.join(name, places)
                return None
            verdict = places.refusal(claim.claimed_at)
            if verdict.action == "run":
                return self.take_place(name, seen, claim, places)
            holders = places.holders(verdict.hold)
        self.refused(name, claim, verdict, holders)
        return None

    def take_place(self, name: str, seen: Look, claim: Claim, places: Places) -> Claim | None:
        if not places.enter(claim):
            (limit, *_) = places.limits
            self.lines.close(limit, LOCKED_FOR)
            self.lines.join(name, limit)
            return None
        taken = self.take(name, seen, replace(claim, limits=places.with_places))
        if taken is None:
            places.undo()
        elif taken.token != claim.token:
            places.enter(taken)
        return taken

    def refused(self, name: str, claim: Claim, verdict: Verdict, holders: Sequence[str]) -> None:
        """A limit is closed: the job joins its line, unless it is a dropped one that does not want to wait."""
        job = claim.job
        if holders and verdict.hold.startswith(KEY) and minds_conflicts(job, name):
            if job.on_conflict == "reject":
                self.index.hold(name, LEAVING)
                message = f"Another process is running: {holders[0]} holds its concurrency key"
                self.endings.append((job.id, Failure(reason="conflict", message=message)))
                return
            if self.superseded.get(verdict.hold) != holders[0]:
                self.superseded[verdict.hold] = holders[0]
                self.supersede(holders[:1], job.id)
        seconds = LOOK_EVERY if verdict.until is None else (verdict.until - claim.claimed_at).total_seconds()
        self.lines.close(verdict.hold, seconds, verdict.until)
        self.lines.join(name, verdict.hold)


def minds_conflicts(job: Job, name: str) -> bool:
    """Whether a dropped file asks for more than to wait for its key; for all others `enqueue` has seen to that."""
    return job.on_conflict != "wait" and not is_ours(name)
