"""Where schedules are kept: one file for each in `.jobqueue/schedules/`, or a dict in memory."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from jobqueue.inert import inert_logger
from jobqueue.model.schedule import ScheduleRecord
from jobqueue.model.schedule_request import checked, parse_name
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.commit import Scratch
from jobqueue.store.layout import SCHEDULES, SUFFIX, is_job_name, job_id
from jobqueue.store.locks import Locks

log = inert_logger("jobqueue")

Mark = tuple[int, int, int]
COARSE_CLOCK = 50_000_000
"""Within so many ns a folder's mtime may stay the same although something was added."""


class FileSchedules:
    """A file that cannot be a schedule is left alone and reported once: it must not stop the others."""

    def __init__(self, folder: int, scratch: Scratch, locks: Locks) -> None:
        self.folder = folder
        self.scratch = scratch
        self.locks = locks
        self.marks: dict[str, Mark] = {}
        self.read: dict[str, ScheduleRecord] = {}
        self.known: tuple[ScheduleRecord, ...] = ()
        self.problems: dict[str, str] = {}
        self.empty_at = -1

    def all(self) -> tuple[ScheduleRecord, ...]:
        """By name; the very same tuple as before where nothing has changed."""
        mtime = os.fstat(self.folder).st_mtime_ns
        if not self.marks and mtime == self.empty_at:  # one look is all that a queue without schedules pays
            return self.known
        marks = {name: mark for name in self.names() if (mark := self.mark(name)) is not None}
        if marks != self.marks:
            changed = {name for name in marks if marks[name] != self.marks.get(name)}
            self.problems = {name: why for name, why in self.problems.items() if name in marks and name not in changed}
            read = {name: self.get_from(name) if name in changed else self.read.get(name) for name in sorted(marks)}
            self.read = {name: record for name, record in read.items() if record is not None}
            self.marks, self.known = marks, tuple(self.read.values())
        self.empty_at = -1 if time.time_ns() - mtime < COARSE_CLOCK else mtime
        return self.known

    def names(self) -> list[str]:
        return [name for name in files.names(self.folder) if is_job_name(name)]

    def mark(self, name: str) -> Mark | None:
        try:
            seen = os.stat(name, dir_fd=self.folder, follow_symlinks=False)
        except OSError:
            return None
        return seen.st_ino, seen.st_mtime_ns, seen.st_size

    def get(self, name: str) -> ScheduleRecord | None:
        """As its file is now; None where there is none, or one that cannot be a schedule."""
        file = parse_name(name) + SUFFIX
        return self.get_from(file) if files.exists(self.folder, file) else None

    def get_from(self, file: str) -> ScheduleRecord | None:
        try:
            record = msgspec.json.decode(files.read_small(self.folder, file), type=ScheduleRecord)
            return checked(record, job_id(file))
        except FileNotFoundError:
            return None
        except (OSError, *UNREADABLE) as error:
            self.report(file, str(error))
            return None

    def report(self, file: str, why: str) -> None:
        if self.problems.get(file) != why:
            self.problems[file] = why
            log.warning("%s/%s is no schedule and is left out: %s", SCHEDULES, file, why)

    def put(self, record: ScheduleRecord) -> None:
        data = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
        self.scratch.replace(self.folder, parse_name(record.name) + SUFFIX, data)

    def remove(self, name: str) -> bool:
        file = parse_name(name) + SUFFIX
        found = files.exists(self.folder, file)
        files.remove(self.folder, file)
        self.scratch.settle([self.folder])
        return found

    @contextmanager
    def held(self, *, wait: bool = True) -> Iterator[bool]:
        if wait:
            with self.locks.hold(SCHEDULES):
                yield True
        else:
            with self.locks.try_hold(SCHEDULES) as ours:
                yield ours


class MemorySchedules:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: tuple[ScheduleRecord, ...] = ()
        self.problems: dict[str, str] = {}

    def all(self) -> tuple[ScheduleRecord, ...]:
        return self.known

    def get(self, name: str) -> ScheduleRecord | None:
        return next((record for record in self.known if record.name == parse_name(name)), None)

    def put(self, record: ScheduleRecord) -> None:
        copied = msgspec.json.decode(msgspec.json.encode(record), type=ScheduleRecord)
        others = [known for known in self.known if known.name != record.name]
        self.known = tuple(sorted([*others, copied], key=lambda known: known.name))

    def remove(self, name: str) -> bool:
        before = len(self.known)
        self.known = tuple(record for record in self.known if record.name != parse_name(name))
        return len(self.known) < before

    @contextmanager
    def held(self, *, wait: bool = True) -> Iterator[bool]:
        ours = self.lock.acquire(blocking=wait)
        try:
            yield ours
        finally:
            if ours:
                self.lock.release()


class MemoryDuties:
    """What one worker at a time does, by name."""

    def __init__(self) -> None:
        self.locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        with self.locks[name]:
            yield

    @contextmanager
    def try_hold(self, name: str) -> Iterator[bool]:
        ours = self.locks[name].acquire(blocking=False)
        try:
            yield ours
        finally:
            if ours:
                self.locks[name].release()
