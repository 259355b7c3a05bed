"""Reading what is there: one job, pages of jobs, counts. Nothing here changes the folder."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone

from msgspec.structs import replace

from jobqueue.errors import JobNotFound
from jobqueue.model.filter import LONG_AGO, Filter
from jobqueue.model.job import Job
from jobqueue.model.retention import Resting
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.told import shown_running
from jobqueue.store import files
from jobqueue.store.base import Digest, Located, Notes, Page, digest
from jobqueue.store.folder import ROUNDS, Folder, Place
from jobqueue.store.intake import LARGEST, Look, look
from jobqueue.store.layout import (
    OPERATION,
    SUFFIX,
    file_name,
    folders_of,
    is_delayed_name,
    is_job_name,
    is_ours,
    job_id,
    name_time,
    order_key,
    owner_of,
    reason_name,
)
from jobqueue.store.skimming import skimmed

NOT_A_JOB = "?"


class Reading:
    """`limit` is the largest dropped file that is read; our own may have grown by a result or a long history."""

    def __init__(self, folder: Folder, limit: int, notes: Notes) -> None:
        self.folder = folder
        self.limit = limit
        self.notes = notes
        self.foreign_keys: dict[tuple[Status, str, int], str] = {}

    def get(self, id: str) -> Located:
        for _ in range(ROUNDS):
            place = self.folder.find(id)
            if place is None:
                break
            located = self.read(place)
            if located is not None:
                return located
        raise JobNotFound(id)

    def read(self, place: Place) -> Located | None:
        """What lies there now; None where it has moved on."""
        try:
            seen = self.look(place)
        except OSError:
            return None
        if seen.skip == "gone":
            return None
        if seen.job is None:
            said = self.reason(place) if place.status is Status.FAILED else None
            return Located(Job(id=job_id(place.name), type=NOT_A_JOB), place.status, reason=said or seen.problem or seen.skip)
        job, owner = seen.job, None
        if job.created_at is None and place.status is Status.PENDING:
            job = replace(job, created_at=datetime.fromtimestamp(seen.moved_at, timezone.utc))
        if place.status is Status.CLAIMED:
            owner = owner_of(place.claim_folder)
            if not owner.startswith(OPERATION) and not job.finished:
                since = datetime.fromtimestamp(seen.moved_at, timezone.utc)
                job = replace(job, locked_by=owner, claimed_at=since, attempts=job.next_attempt)
                job = shown_running(job, self.notes.progress(job.id))
        reason = self.reason(place) if place.status is Status.FAILED and job.error is None else None
        cancelling = place.status is Status.CLAIMED and files.exists(self.folder.fds["cancel"], place.name)
        return Located(job, place.status, owner, reason, cancelling)

    def digest(self, place: Place) -> Digest | None:
        """The few fields that many jobs are asked for, fast where we wrote the file."""
        if place.status is not Status.CLAIMED and is_ours(place.name):
            found = skimmed(place)
            if found is not None:
                return found
        located = self.read(place)
        return None if located is None else digest(located)

    def look(self, place: Place) -> Look:
        dropped = place.status is Status.PENDING and not is_ours(place.name)
        return look(place.folder, place.name, self.limit if dropped else LARGEST)

    def reason(self, place: Place) -> str | None:
        try:
            text = files.read_small(place.folder, reason_name(place.name))
        except OSError:
            return None
        return text.decode("utf-8", "replace").split("\n", 1)[0]

    def places(self, status: Status) -> Iterator[Place]:
        for name in self.folder.names(status):
            if status is Status.CLAIMED:
                claim_folder, _, file = name.partition("/")
                yield Place(status, self.folder.claim_folders.get(claim_folder, -1), file, claim_folder)
            else:
                yield Place(status, self.folder.by_status[status], name)

    def held(self, owner: str) -> list[Located]:
        found: list[Located] = []
        for claim_folder in folders_of(owner):
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = self.folder.open_briefly(claim_folder)
                places = [Place(Status.CLAIMED, fd, name, claim_folder) for name in files.names(fd) if is_job_name(name)]
                found += [located for place in places if (located := self.read(place)) is not None]
        return found

    def last(self, type: str | None) -> Located | None:
        """Most names say when their job was made: of these, the latest are opened until one is of the type. Any other
        name is opened where its file came here since then."""
        places = [place for status in Status for place in self.places(status)]
        telling = [place for place in places if is_ours(place.name) and not is_delayed_name(place.name)]
        telling.sort(key=lambda place: name_time(place.name), reverse=True)
        found = next((located for place in telling if (located := self.read_type(place, type)) is not None), None)
        since = LONG_AGO if found is None or found.job.created_at is None else found.job.created_at
        others = (place for place in places if not is_ours(place.name) or is_delayed_name(place.name))
        newer = [place for place in others if self.moved_at(place) >= since.timestamp() - 1]
        candidates = [found, *(self.read_type(place, type) for place in newer)]
        made = [located for located in candidates if located is not None]
        return max(made, key=lambda located: located.job.created_at or LONG_AGO, default=None)

    def read_type(self, place: Place, type: str | None) -> Located | None:
        located = self.read(place)
        return located if located is not None and type in (None, located.job.type) else None

    def scan(self, statuses: Sequence[Status], where: Filter | None, order: str, limit: int | None, offset: int) -> Page:
        places = [place for status in statuses for place in self.places(status)]
        end = None if limit is None else offset + limit
        if where is None or where.empty:
            page = self.in_order(places, order, end)[offset:]
            return Page([located for place in page if (located := self.read(place)) is not None], len(places))
        likely, first = self.in_order(places, order, None), where.at_first_sight
        if not first.empty:
            likely = [place for place in likely if self.may_match(place, first)]
        asked = likely[offset:end] if first == where else likely
        seen = [located for place in asked if (located := self.read(place)) is not None and where.matches(located.job)]
        return Page(seen, len(likely)) if first == where else Page(seen[offset:end], len(seen))

    def may_match(self, place: Place, where: Filter) -> bool:
        found = self.digest(place)
        return found is not None and where.may_match(found)

    def in_order(self, places: list[Place], order: str, end: int | None) -> list[Place]:
        """All of them, or the first ones: to find those of a million costs less than half of sorting it."""
        # ctimes are coarse: what moved in the same tick keeps the order in which it was made
        key = self.key if order == "urgent" else lambda place: (self.moved_at(place), name_time(place.name))
        if end is None or end * 4 > len(places):
            return sorted(places, key=key, reverse=order == "newest")[:end]
        return (heapq.nlargest if order == "newest" else heapq.nsmallest)(end, places, key=key)

    def key(self, place: Place) -> str:
        """Its place in the order of the queue; a dropped file must be opened for its priority, once."""
        if is_ours(place.name):
            return place.name
        try:
            seen = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
        except OSError:
            return place.name
        known = self.foreign_keys.get((place.status, place.name, seen.st_ino))
        if known is None:
            job = self.look(place).job
            came = job.created_at if job is not None and job.created_at is not None else None
            stamp = f"{came or datetime.fromtimestamp(seen.st_ctime, timezone.utc):%Y%m%dT%H%M%S%f}"
            known = order_key(job.priority if job is not None else 99, stamp, place.name)
            self.foreign_keys[(place.status, place.name, seen.st_ino)] = known
        return known

    def resting(self, status: Status) -> Iterator[Resting]:
        with files.entries(self.folder.by_status[status]) as entries:
            for entry in entries:
                if is_job_name(entry.name) and not entry.is_dir(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        yield resting(job_id(entry.name), entry.stat(follow_symlinks=False))

    def resting_of(self, status: Status, ids: Sequence[str]) -> Iterator[Resting]:
        for id in ids:
            name = file_name(id)
            with suppress(FileNotFoundError):
                if name is not None:
                    yield resting(id, os.stat(name, dir_fd=self.folder.by_status[status], follow_symlinks=False))

    def moved_at(self, place: Place) -> float:
        try:
            return os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_ctime
        except OSError:
            return 0.0

    def ids(self, status: Status) -> list[str]:
        names = self.folder.names(status)
        if status is Status.CLAIMED:
            names = [name.rpartition("/")[2] for name in names]
        end = -len(SUFFIX)
        return [name[:end] for name in names]

    def counts(self) -> dict[Status, int]:
        return {status: len(self.folder.names(status)) for status in Status}

    def parent_state(self, id: str, trashed: Job | None) -> str:
        place = self.folder.find(id)
        if place is None:
            return "gone" if trashed is None else "done" if trashed.error is None and trashed.finished else "failed"
        if place.status in FINISHED:
            return "done" if place.status is Status.DONE else "failed"
        return "waiting"


def resting(id: str, seen: os.stat_result) -> Resting:
    """By ctime, which tells when a file came here, and which nobody can set."""
    return Resting(datetime.fromtimestamp(seen.st_ctime, timezone.utc), id, seen.st_size)
