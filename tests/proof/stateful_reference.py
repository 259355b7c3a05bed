"""What a queue should hold, in plain dicts: each rule of the state machine says here what it expects of the spool."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

FINISHED = ("done", "failed")
FOLDERS = ("pending", "claimed", "done", "failed")


@dataclass
class Known:
    """One job. The number in its payload tells it from all others, whatever its file is called."""

    number: int
    id: str
    type: str
    most: int = 3
    run_after: datetime | None = None
    after: str | None = None
    key: str | None = None
    expires_at: datetime | None = None
    alone: str | None = None
    """Its concurrency key: no two jobs that have it run at once."""
    status: str = "pending"
    attempts: int = 0
    history: tuple[str, ...] = ()
    ended: str | None = None
    """The outcome that the file carries: done, failed or cancelled."""
    owner: str = ""
    asked: bool = False
    """Whether a cancel was asked of its worker."""
    broken: bool = False

    def reopened(self) -> tuple[int, tuple[str, ...]]:
        """Attempts and history as the next attempt finds them: what carries an outcome starts anew."""
        return (0, (*self.history, self.ended)) if self.ended else (self.attempts, self.history)

    def body(self) -> tuple[int, tuple[str, ...], bool]:
        return (self.attempts, self.history, self.ended is not None)


@dataclass
class Reference:
    jobs: dict[int, Known] = field(default_factory=dict)
    journal: list[tuple[str, int, str]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    paused: bool = False

    def add(self, job: Known) -> Known:
        self.jobs[job.number] = job
        if job.key is not None:
            self.keys[job.key] = job.number
        return job

    def of(self, *statuses: str) -> list[Known]:
        return [job for job in self.jobs.values() if job.status in statuses]

    def holder(self, key: str | None) -> Known | None:
        """The job that a new one with this key would double."""
        known = self.jobs.get(self.keys.get(key, -1)) if key is not None else None
        return known if known is not None and known.status != "trash" else None

    # -- what becomes of a job

    def claimed(self, job: Known, owner: str) -> None:
        job.status, job.owner = "claimed", owner
        if job.ended:
            job.expires_at = None

    def end(self, job: Known, outcome: str, status: str = "failed") -> None:
        job.status, job.ended, job.owner, job.asked = status, outcome, "", False

    def attempt(self, job: Known, outcome: str, *, final: bool = False, until: datetime | None = None) -> None:
        """A claimed job whose attempt came to this outcome; `until` is when the next may start."""
        attempts, history = job.reopened()
        given_back = outcome in ("snoozed", "released")
        self.journal.append((job.id, attempts + 1, outcome))
        if outcome == "done" or (not given_back and (final or attempts + 1 >= job.most)):
            job.attempts, job.history = attempts + 1, history
            self.end(job, "done" if outcome == "done" else "failed", "done" if outcome == "done" else "failed")
            return
        job.attempts = attempts + (not given_back)
        job.history = history if given_back else (*history, outcome)
        if outcome != "released":
            job.run_after = until
        elif job.ended:
            job.run_after = None
        job.ended = None
        if job.asked:
            self.end(job, "cancelled")
        else:
            job.status, job.owner = "pending", ""

    def rescued(self, job: Known, now: datetime, handed_back: bool) -> None:
        """Its owner is dead."""
        if handed_back and not job.asked:
            self.attempt(job, "released")
        elif job.asked:
            attempts, job.history = job.reopened()
            job.attempts = attempts + 1
            self.journal.append((job.id, job.attempts, "cancelled"))
            self.end(job, "cancelled")
        else:
            self.attempt(job, "crashed", until=now)

    def retried(self, job: Known) -> None:
        job.attempts, job.history = job.reopened()
        job.attempts, job.ended, job.run_after, job.expires_at, job.status = 0, None, None, None, "pending"

    # -- what may run

    def parent_state(self, id: str) -> str:
        """As a child sees it; parents have unique ids here."""
        (parent,) = [job for job in self.jobs.values() if job.id == id]
        if parent.status == "trash":
            return "done" if parent.ended == "done" else "failed"
        return {"done": "done", "failed": "failed"}.get(parent.status, "waiting")

    def verdict(self, job: Known, now: datetime) -> str:
        """run, wait, end, or cancel (one that was asked to stop and was then moved): what a claim makes of a pending job."""
        run_after, expires_at = (None, None) if job.ended else (job.run_after, job.expires_at)
        if expires_at is not None and expires_at <= now:
            return "end"
        if self.paused or job.broken or (run_after is not None and run_after > now):
            return "wait"
        state = "done" if job.after is None else self.parent_state(job.after)
        if state != "done":
            return "end" if state == "failed" else "wait"
        if job.alone is not None and any(other.alone == job.alone for other in self.of("claimed")):
            return "wait"
        return "cancel" if job.asked else "run"

    def ready(self, now: datetime) -> list[Known]:
        """The jobs that could all be claimed at this moment."""
        able = [job for job in self.of("pending") if self.verdict(job, now) == "run"]
        return list({job.alone or job.id: job for job in able}.values())
