"""Taking back what dead owners hold: an owner is dead when its lock is free, and for no other reason."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone

from msgspec.structs import replace

from jobqueue.inert import inert_logger
from jobqueue.model.clock import Clock
from jobqueue.model.filter import status_of
from jobqueue.model.job import Attempt, Job, Ran
from jobqueue.model.retry import RetryPolicy
from jobqueue.model.status import Status
from jobqueue.model.told import tell
from jobqueue.model.transition import Run, Transition, final_attempt, lost, release, reopened
from jobqueue.store import files
from jobqueue.store.base import Notes, WorkerInfo, left_behind
from jobqueue.store.folder import Folder
from jobqueue.store.layout import OPERATION, folders_of, is_job_name, is_ours, job_id, owner_of
from jobqueue.store.locks import Locks
from jobqueue.store.moving import Held, Moving, Outcome
from jobqueue.store.owners import Owners

log = inert_logger("jobqueue")


class Rescuing:
    def __init__(self, folder: Folder, locks: Locks, owners: Owners, moving: Moving, clock: Clock, notes: Notes) -> None:
        self.folder = folder
        self.locks = locks
        self.owners = owners
        self.moving = moving
        self.clock = clock
        self.notes = notes
        self.said_last = ""

    def rescue(self) -> list[str]:
        """Takes back what dead owners hold: an owner is dead when its lock is free, and for no other reason."""
        moved: list[str] = []
        for owner in sorted({owner_of(name) for name in self.folder.claim_folder_names()}):
            if not self.locks.alive(owner):
                with self.locks.seize(owner) as dead:
                    if dead:
                        moved += self.try_recover(owner)
        return moved

    def try_recover(self, owner: str) -> list[str]:
        """What the disk refuses is left for the next time, and keeps nobody from taking back what others held."""
        try:
            return self.recover(owner)
        except OSError as error:
            said = f"cannot take back what {owner} held ({error}); trying again"
            if said != self.said_last:
                self.said_last = said
                log.error("%s", said)
            return []

    def recover(self, owner: str) -> list[str]:
        info = self.owners.info(owner)
        outcomes: list[Outcome] = []
        for claim_folder in folders_of(owner):
            with suppress(FileNotFoundError, NotADirectoryError):  # a link in its place is not ours to follow, or to mend
                names = files.names(self.folder.claim_folder(claim_folder))
                for name in filter(is_job_name, names):
                    outcomes += self.recovery(Held(claim_folder, name), owner, info)
        moved = [job_id(name) for name in self.moving.carry_out(outcomes) if name is not None]
        for outcome in outcomes:
            self.notes.ended(job_id(outcome.held.name), done=outcome.to is Status.DONE)
        if self.owners.dissolve(owner):
            files.remove(self.folder.fds["locks"], owner)
        return moved

    def recovery(self, held: Held, owner: str, info: WorkerInfo | None) -> list[Outcome]:
        """What becomes of one file of a dead owner: forward when its outcome stands in it, else back."""
        seen = self.moving.look_at(held)
        job = seen.job
        if job is None:
            if seen.problem:
                self.moving.set_held_aside([(held, seen.problem)])
            return []
        if owner.startswith(OPERATION):  # nothing ran there; as it stands it goes back, or on to where it was decided to go
            return [Outcome(held, status_of(job) if job.finished else Status.PENDING)]
        if job.written_by == held.claim_folder:
            return [Outcome(held, status_of(job) if job.finished else Status.PENDING, attempt=recorded_attempt(job, owner))]
        if job.written_by is None and not is_ours(held.name):  # when it came; the rename of the claim has changed its ctime
            came = datetime.fromtimestamp(min(seen.mark[1] / 1e9, seen.moved_at), timezone.utc)
            job = replace(job, created_at=job.created_at or came, updated_at=came)
        transition = self.lost_transition(job, held, owner, info, seen.moved_at)
        attempt = (transition.job, transition.attempt) if transition.attempt is not None else None
        return [Outcome(held, transition.to, transition, attempt)]

    def lost_transition(self, job: Job, held: Held, owner: str, info: WorkerInfo | None, moved_at: float) -> Transition:
        now = self.clock.now()
        ran = info.ran(job) if info is not None else Ran()
        run = Run(owner, min(now, datetime.fromtimestamp(moved_at, timezone.utc)), now, ran)
        if job.finished:
            job = reopened(job, run.claimed_at)
        cancelled = self.moving.cancel_asked(held.name)
        if info is not None and info.handed_back and not cancelled:
            transition = release(job, run)
        else:
            policy = (info.policies.get(job.type) if info is not None else None) or RetryPolicy()
            transition = lost(job, run, policy=policy, cancelled=cancelled)
        told = left_behind(self.notes, job.id, job.next_attempt)
        return transition if told is None else tell(transition, told)


def recorded_attempt(job: Job, owner: str) -> tuple[Job, Attempt] | None:
    """The journal line of an outcome that was recorded before its owner died: written again, since it may be missing.

    A job that ended because a cancel was asked for, when its attempt was over, has that attempt in its history: its end
    was none. Of an attempt that was given back the file says nothing.
    """
    if job.finished and job.locked_by == owner:
        return (job, final_attempt(job))
    return (job, job.history[-1]) if job.history and job.history[-1].worker == owner else None
