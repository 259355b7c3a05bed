"""Adding jobs: one at a time, in groups, under idempotency keys, and beside others with their concurrency key."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from jobqueue.errors import InvalidJob, JobNotFound, NotAcknowledged, QueueFolderError
from jobqueue.model.clock import Clock
from jobqueue.model.filter import status_of
from jobqueue.model.job import Job
from jobqueue.model.names import GIVEN_ID
from jobqueue.model.status import FINISHED, Status
from jobqueue.store import files
from jobqueue.store.arrivals import Arrivals
from jobqueue.store.base import Located, Put
from jobqueue.store.codec import encode
from jobqueue.store.commit import Scratch, Together
from jobqueue.store.conflicts import Conflicts
from jobqueue.store.folder import Folder
from jobqueue.store.keys import KeyRecord, Keys, holds
from jobqueue.store.layout import SUFFIX, copy_name, job_id
from jobqueue.store.moving import AT_ONCE, Moving
from jobqueue.store.reading import Reading

KEYS_AT_ONCE = 200
"""Key files that are open and locked at the same time, well below the usual limit of open files."""


class Draft:
    """The bytes of a new job, and the name under which they were put in place."""

    __slots__ = ("data", "name")

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data


class Putting:
    """`limit` is the largest job, in bytes."""

    def __init__(
        self,
        folder: Folder,
        scratch: Scratch,
        keys: Keys,
        conflicts: Conflicts,
        arrivals: Arrivals,
        reading: Reading,
        moving: Moving,
        clock: Clock,
        limit: int,
    ) -> None:
        self.folder = folder
        self.scratch = scratch
        self.keys = keys
        self.conflicts = conflicts
        self.arrivals = arrivals
        self.reading = reading
        self.moving = moving
        self.clock = clock
        self.limit = limit
        self.publishing: Together[Draft] = Together(self.publish)

    def put(self, jobs: Sequence[Job], *, force: bool = False, given_ids: bool = False) -> list[Put]:
        keyed = given_ids or any(job.idempotency_key or job.concurrency_key for job in jobs)
        if not keyed:
            return [Put(Located(job, Status.PENDING), "created") for job in self.add(jobs)]
        answers: list[Put] = []
        for start in range(0, len(jobs), KEYS_AT_ONCE):
            answers += self.put_keyed(jobs[start : start + KEYS_AT_ONCE], force, given_ids)
        return answers

    def add(self, jobs: Sequence[Job]) -> list[Job]:
        """Stores jobs as they are; on return they are acknowledged. A taken name gets a number behind it."""
        drafts = [Draft(job.id + SUFFIX, self.encoded(job)) for job in jobs]
        self.publishing.do(drafts)
        return [with_id(job, draft.name) for job, draft in zip(jobs, drafts, strict=True)]

    def encoded(self, job: Job) -> bytes:
        data = encode(job)
        if len(data) > self.limit:
            raise InvalidJob(
                f"payload: the job has {len(data):,} bytes, above the limit of {self.limit:,} (max_file_size); "
                "keep the data in a file and pass its path"
            )
        return data

    def publish(self, group: Sequence[Draft]) -> None:
        """One group: temporary files [F], renames into pending/ [D]."""
        for start in range(0, len(group), AT_ONCE * 10):
            self.publish_part(group[start : start + AT_ONCE * 10])

    def publish_part(self, part: Sequence[Draft]) -> None:
        try:
            temporary = self.scratch.write([draft.data for draft in part])
        except OSError as error:
            raise self.refusal_of_disk(error) from error
        placed = 0
        try:
            for name, draft in zip(temporary, part, strict=True):
                draft.name = self.publish_one(name, draft.name)
                placed += 1
        except BaseException as error:
            self.scratch.discard(temporary)
            if not isinstance(error, OSError):
                raise
            raise (self.doubt(error) if placed else self.refusal_of_disk(error)) from error
        self.arrivals.announce([draft.name for draft in part])
        self.acknowledge(part[-1].name)

    def publish_one(self, temporary: str, name: str) -> str:
        while True:
            try:
                files.move(self.scratch.folder, temporary, self.folder.pending, name)
                return name
            except FileExistsError:
                name = copy_name(name)

    def acknowledge(self, last: str) -> None:
        try:
            self.scratch.settle([self.folder.pending], (self.folder.pending, last))
        except OSError as error:
            raise self.doubt(error) from error

    def adopt(self, job: Job, status: Status) -> None:
        """A job that has finished elsewhere goes straight to done/ or failed/: temporary file [F], rename [D]."""
        folder, name = self.folder.by_status[status], job.id + SUFFIX
        if self.folder.find(job.id) is not None:
            raise FileExistsError(f"{job.id}: another job has this id")
        (temporary,) = self.scratch.write([encode(job)])
        try:
            files.move(self.scratch.folder, temporary, folder, name)
        finally:
            self.scratch.discard([temporary])
        self.scratch.settle([folder], (folder, name))

    def refusal_of_disk(self, error: OSError) -> QueueFolderError:
        return QueueFolderError(f"{self.folder.path}: cannot store the job ({error.strerror}); nothing was enqueued")

    def doubt(self, error: OSError) -> NotAcknowledged:
        return NotAcknowledged(
            f"{self.folder.path}: the disk failed after the job was put in place ({error.strerror}); it may exist or not: "
            f"look with queue.jobs(), or enqueue with an idempotency_key and simply try again"
        )

    def put_keyed(self, jobs: Sequence[Job], force: bool, given_ids: bool) -> list[Put]:
        wanted = [lock_key(job, given_ids) for job in jobs]
        answers: list[Put | None] = [None] * len(jobs)
        new: list[tuple[int, Job]] = []
        with self.keys.locked([key for key in wanted if key]) as locked, self.conflicts.locked(jobs) as rivals:
            taken: dict[str, Located] = {}
            for number, (job, key) in enumerate(zip(jobs, wanted, strict=True)):
                existing = None if key is None or force else taken.get(key) or self.holder(job, locked[key], given_ids)
                if existing is not None:
                    answers[number] = Put(existing, "exists")
                    continue
                if (rival := rivals.of(job)) is not None:
                    answers[number] = Put(rival, "rejected")
                    continue
                rivals.will_make(job)
                if key is not None:
                    taken[key] = Located(job, Status.PENDING)
                    record = KeyRecord(key=key, id=job.id, scope=job.key_scope, made_at=self.clock.now())
                    self.keys.write(locked[key], record)
                new.append((number, job))
            if taken:
                self.keys.settle()
            asked = [job for _, job in new]
            self.conflicts.note_waiting(asked, rivals.opened)
            rivals.announce(asked)
            stored = self.add(asked)
            superseded = rivals.settle(asked, stored)
        for (number, _), job in zip(new, stored, strict=True):
            answers[number] = Put(Located(job, Status.PENDING), "created", superseded.get(job.id, 0))
        return [answer for answer in answers if answer is not None]

    def holder(self, job: Job, file: int, given_ids: bool) -> Located | None:
        """The job that already has this id or this key, if the key still holds."""
        if given_ids:
            with suppress(JobNotFound):
                return self.reading.get(job.id)
        record = self.keys.read(file) if job.idempotency_key is not None else None
        if record is None:
            return None
        with suppress(JobNotFound):
            located = self.reading.get(record.id)
            state = "finished" if located.status in FINISHED else "active"
            return located if holds(record, state, self.clock.now()) else None
        trashed = self.moving.in_trash(record.id + ".json")
        if trashed is not None and holds(record, "trashed", self.clock.now()):
            return Located(trashed, status_of(trashed))
        return None

    def take_key(self, job: Job) -> str | None:
        """Takes the idempotency key of a dropped job, or says which other job has it.

        Raises `BlockingIOError` where somebody is making a job for it: a worker must not wait for one that may be stopped.
        """
        key = f"key:{job.idempotency_key}"
        file = self.keys.try_locked(self.keys.file_name(key))
        if file is None:
            raise BlockingIOError(f"a job is being made for the key {job.idempotency_key!r}")
        try:
            holder = self.holder(job, file, given_ids=False)
            if holder is not None and holder.job.id != job.id:
                return holder.job.id
            if holder is None:
                self.keys.write(file, KeyRecord(key=key, id=job.id, scope=job.key_scope, made_at=self.clock.now()))
                self.keys.settle()
        finally:
            os.close(file)
        return None

    def key_is_free(self, record: KeyRecord) -> bool:
        if self.folder.find(record.id) is not None:
            return False
        state = "gone" if self.moving.in_trash(record.id + ".json") is None else "trashed"
        return not holds(record, state, self.clock.now())


def with_id(job: Job, name: str) -> Job:
    id = job_id(name)
    return job if job.id == id else replace(job, id=id)


def lock_key(job: Job, given_ids: bool) -> str | None:
    """Under which lock a job is made: that of its idempotency key, or of an id that its maker chose."""
    if job.idempotency_key is not None:
        return f"key:{job.idempotency_key}"
    if not given_ids:
        return None
    if not GIVEN_ID.fullmatch(job.id):
        raise InvalidJob(f"id: {job.id!r:.80} cannot be a file name; use letters, digits and . _ - up to 200 characters")
    return f"id:{job.id}"
