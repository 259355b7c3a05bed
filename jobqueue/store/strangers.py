"""Files that somebody dropped: opened once to learn their place, given time to settle, set aside when they stay no jobs."""

from __future__ import annotations

from datetime import datetime, timezone

from jobqueue.inert import inert_logger
from jobqueue.model.job import Job
from jobqueue.model.names import stamp
from jobqueue.store.folder import Folder
from jobqueue.store.index import LEAVING, Index
from jobqueue.store.intake import LARGEST, Look, Settling, look
from jobqueue.store.layout import is_ours, order_key

log = inert_logger("jobqueue")

AT_ONCE = 200


def stamp_of(moment: datetime) -> str:
    return stamp(moment if moment.tzinfo is timezone.utc else moment.astimezone(timezone.utc))


def arrival(seen: Look) -> datetime:
    """When a dropped file came: the last rename, link or write, by a time that nobody can set."""
    return datetime.fromtimestamp(seen.moved_at, timezone.utc)


class Strangers:
    """`rejects` are the names and problems of files that had their time; whoever claims moves them away, in groups."""

    def __init__(self, folder: Folder, index: Index, settle_time: float, limit: int) -> None:
        self.folder = folder
        self.index = index
        self.limit = limit
        self.settling = Settling(settle_time)
        self.reported: set[str] = set()
        self.rejects: list[tuple[str, str]] = []

    def meet(self) -> None:
        """Opens some dropped files to learn their priority; what is no job yet settles."""
        for name in self.index.take_strange(AT_ONCE):
            seen = look(self.folder.pending, name, self.limit, check_writer=True)
            if seen.job is not None:
                self.settling.forget(name)
                self.index.place(name, self.key_of(seen, seen.job, name))
            else:
                self.put_aside(name, seen)

    def key_of(self, seen: Look, job: Job, name: str) -> str:
        """The place of a dropped job: by its priority, and by when it says it was made, else by when it came here."""
        return order_key(job.priority, stamp_of(job.created_at or arrival(seen)), name)

    def put_aside(self, name: str, seen: Look) -> None:
        """A name under which there is no job to run now: gone, still settling, or nothing we may touch."""
        if seen.skip == "gone":
            self.index.forget(name)
            self.settling.forget(name)
        elif seen.skip == "busy":
            self.settling.forget(name)
            self.settling.left(name, seen.mark)
        elif seen.skip:
            self.settling.forget(name)
            self.index.hold(name, "skip")
            self.report_once(name, seen.skip)
        else:
            self.settling.left(name, seen.mark)

    def report_once(self, name: str, what: str) -> None:
        if name not in self.reported:
            self.reported.add(name)
            log.warning("pending/%s %s; it is left where it is", name, what)

    def judge(self) -> None:
        """Looks again at the files whose settle time is over: jobs by now, or set aside with their reason."""
        for name, mark in self.settling.settled(AT_ONCE):
            seen = look(self.folder.pending, name, LARGEST if is_ours(name) else self.limit, check_writer=True)
            if seen.job is not None:
                self.settling.forget(name)
                self.index.keys.setdefault(name, "")
                self.index.place(name, self.key_of(seen, seen.job, name))
            elif seen.problem and seen.mark == mark:
                self.settling.forget(name)
                self.index.keep(name, LEAVING)
                self.rejects.append((name, seen.problem))
            else:
                self.put_aside(name, seen)
