"""Which jobs were made for a concurrency key, so that the next one can be refused, or can take their place.

One small file for each key, `.jobqueue/limits/<hash>.ids`, with the ids of its jobs, one a line. It is locked while a job
is made that minds the others (`reject`, `supersede`), so that of two such callers one comes first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from jobqueue.errors import JobNotFound
from jobqueue.model.job import Job
from jobqueue.model.limit import KEY
from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.base import Change, Located
from jobqueue.store.folder import Folder
from jobqueue.store.keys import Keys
from jobqueue.store.limiting import LARGEST, Limiting, as_name, as_text
from jobqueue.store.reading import Reading

ENDING = ".ids"
TIDY_EVERY = 64 << 10
"""Bytes that a file may grow by before the ids of finished jobs are left out of it."""

Cancel = Callable[[Sequence[str], str], Sequence[Change]]


class Conflicts:
    """`cancel` ends the jobs with these ids, or asks them to stop; the text is the id of the job that takes their place."""

    def __init__(self, folder: Folder, reading: Reading, limiting: Limiting, cancel: Cancel) -> None:
        self.folder = folder
        self.reading = reading
        self.limiting = limiting
        self.cancel = cancel
        self.files = Keys(folder.fds["limits"], durable=False, ending=ENDING)

    @contextmanager
    def locked(self, jobs: Sequence[Job]) -> Iterator[Rivals]:
        """What is known of the keys of these jobs, locked for those who mind them."""
        minded = {job.concurrency_key for job in jobs if job.concurrency_key is not None and job.on_conflict != "wait"}
        with self.files.locked(sorted(minded)) as opened:
            yield Rivals(self, opened)

    def note_waiting(self, jobs: Iterable[Job], known: Mapping[str, int]) -> None:
        """Notes jobs that simply wait their turn; the files in `known` are locked by us already."""
        ids: dict[str, list[str]] = {}
        for job in jobs:
            if job.concurrency_key is not None and job.concurrency_key not in known:
                ids.setdefault(job.concurrency_key, []).append(job.id)
        with self.files.locked(list(ids)) as opened:
            for key, file in opened.items():
                self.note(file, ids[key])

    def note(self, file: int, ids: Sequence[str]) -> None:
        size = os.fstat(file).st_size
        lines = lines_of(ids)
        if (size + len(lines)) // TIDY_EVERY > size // TIDY_EVERY:
            lines, size = lines_of(reversed(self.unfinished(file))) + lines, 0
        files.step("conflict")
        os.pwrite(file, lines, size)
        os.ftruncate(file, size + len(lines))

    def unfinished(self, file: int) -> list[str]:
        """The ids of the jobs that were made for a key and have not finished, the newest first."""
        ids = [as_name(line) for line in os.pread(file, LARGEST, 0).decode("utf-8", "replace").split("\n") if line]
        return [id for id in dict.fromkeys(reversed(ids)) if self.is_unfinished(id)]

    def is_unfinished(self, id: str) -> bool:
        place = self.folder.find(id)
        return place is not None and place.status in (Status.PENDING, Status.CLAIMED)

    def sweep(self) -> int:
        """Removes the files of keys whose jobs have all finished; each under its lock."""
        removed = 0
        for name in files.names(self.files.folder):
            if name.endswith(ENDING) and (file := self.files.try_locked(name)) is not None:
                try:
                    if not self.unfinished(file):
                        files.remove(self.files.folder, name)
                        removed += 1
                finally:
                    os.close(file)
        return removed


class Rivals:
    """The jobs that new ones would be in conflict with, while nobody else can make one that minds."""

    def __init__(self, conflicts: Conflicts, opened: Mapping[str, int]) -> None:
        self.conflicts = conflicts
        self.opened = opened
        self.made: dict[str, Job] = {}
        self.older: dict[str, list[str]] = {}

    def of(self, job: Job) -> Located | None:
        """The job that keeps this one from being made: the one that runs, else the newest that waits."""
        key = job.concurrency_key
        if key is None or job.on_conflict != "reject":
            return None
        if key in self.made:
            return Located(self.made[key], Status.PENDING)
        for id in (*self.conflicts.limiting.running(KEY + key), *self.conflicts.unfinished(self.opened[key])):
            with suppress(JobNotFound):
                located = self.conflicts.reading.get(id)
                if located.status in (Status.PENDING, Status.CLAIMED):
                    return located
        return None

    def will_make(self, job: Job) -> None:
        if job.concurrency_key is not None:
            self.made[job.concurrency_key] = job

    def announce(self, jobs: Sequence[Job]) -> None:
        """Notes jobs before they are put in place: a crash in between must not hide them from the next ones."""
        for key, file in self.opened.items():
            made = [job for job in jobs if job.concurrency_key == key]
            if any(job.on_conflict == "supersede" for job in made):
                self.older[key] = [*self.conflicts.limiting.running(KEY + key), *self.conflicts.unfinished(file)]
            if made:
                self.conflicts.note(file, [job.id for job in made])

    def settle(self, asked: Sequence[Job], jobs: Sequence[Job]) -> dict[str, int]:
        """Notes the new names that jobs got, and ends those whose place they take: how many, by the id of the new job."""
        superseded = {}
        for key, file in self.opened.items():
            made = [job for job in jobs if job.concurrency_key == key]
            if renamed := [job.id for job in made if job not in asked]:
                self.conflicts.note(file, renamed)
            by = next((job.id for job in reversed(made) if job.on_conflict == "supersede"), None)
            if by is not None:
                before = [job.id for job in made[: [job.id for job in made].index(by)]]
                superseded[by] = self.end([*self.older.get(key, ()), *before], by)
        return superseded

    def end(self, ids: Sequence[str], by: str) -> int:
        if not ids:
            return 0
        changes = self.conflicts.cancel(list(dict.fromkeys(ids)), by)
        return sum(change.outcome in ("changed", "cancelling") for change in changes)


def lines_of(ids: Iterable[str]) -> bytes:
    return "".join(as_text(id) + "\n" for id in ids).encode()
