"""The append-only record of finished attempts: one JSON object a line, one file for each writer and day.

Metrics come from here, so that purging a job never changes them. It is never the truth about where a job is.
A line is written at least once; (job, number of the attempt, outcome) tells doubles apart. A torn last line is skipped.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import msgspec

from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.store import files

log = logging.getLogger("jobqueue")

ENDING = ".jsonl"
TRACEBACK_STAYS_WITH_JOB = None
MOST_UNWRITTEN = 50_000
"""Lines that wait for a disk that refuses them."""
encoder = msgspec.json.Encoder()


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished attempt. Times are aware UTC; `due_at` is when the job could first have run."""

    job: str
    type: str
    number: int
    outcome: str
    worker: str | None = None
    name: str | None = None
    project: str | None = None
    batch: str | None = None
    pipeline_version: str | None = None
    created_at: datetime | None = None
    due_at: datetime | None = None
    claimed_at: datetime | None = None
    finished_at: datetime | None = None
    error: Failure | None = None
    metrics: dict[str, float] = {}


def line_of(job: Job, attempt: Attempt) -> Line:
    error = attempt.error
    if error is not None and error.traceback is not None:
        error = msgspec.structs.replace(error, traceback=TRACEBACK_STAYS_WITH_JOB)
    return Line(
        job=job.id.encode("utf-8", "backslashreplace").decode(),
        type=job.type,
        number=attempt.number,
        outcome=attempt.outcome,
        worker=attempt.worker,
        name=job.name,
        project=job.project,
        batch=job.batch,
        pipeline_version=job.pipeline_version,
        created_at=job.created_at,
        due_at=job.created_at if job.run_after is None or attempt.number > 1 else job.run_after,
        claimed_at=attempt.claimed_at,
        finished_at=attempt.finished_at,
        error=error,
        metrics=attempt.metrics,
    )


class Journal:
    """Appends with one `write` for each group of attempts; reads all files of all writers.

    No disk that fails keeps a job from finishing: lines that could not be written go out with the next ones.
    """

    def __init__(self, folder: int) -> None:
        self.folder = folder
        self.writer = f"{os.getpid()}-{os.urandom(3).hex()}"
        self.lock = threading.Lock()
        self.unwritten: list[bytes] = []
        self.refused = False
        self.torn = False
        """Whether the file may end in half a line, which the next ones must not be glued to."""
        self.day = date.min
        self.file: int | None = None

    def append(self, attempts: Sequence[tuple[Job, Attempt]], now: datetime) -> None:
        """Raises only where more lines wait for the disk than memory should hold."""
        if not attempts:
            return
        lines = [encoder.encode(line_of(job, attempt)) + b"\n" for job, attempt in attempts]
        with self.lock:
            if len(self.unwritten) >= MOST_UNWRITTEN and (error := self.write(now)) is not None:
                raise error
            self.unwritten += lines
            if (error := self.write(now)) is not None and not self.refused:
                log.error("cannot write to the journal (%s); what is missing is written later", error.strerror)
            self.refused = error is not None

    def write(self, now: datetime) -> OSError | None:
        """Writes what waits; what made that impossible."""
        files.step("journal")
        data = b"".join(self.unwritten)
        try:
            file = self.file_of(now)
            if self.torn:
                data = b"\n" + data
            self.torn = True
            files.write_all(file, data)
        except OSError as error:
            return error
        self.torn = False
        self.unwritten.clear()
        return None

    def file_of(self, now: datetime) -> int:
        if self.file is None or now.date() != self.day:
            self.let_go()
            self.file = os.open(f"{now:%Y%m%d}-{self.writer}{ENDING}", files.APPEND, 0o600, dir_fd=self.folder)
            self.day, self.torn = now.date(), self.refused  # it may have been opened before, and torn
        return self.file

    def read(self, since: datetime | None = None) -> Iterator[Line]:
        """All lines, oldest first. Each attempt once, however often it was written."""
        seen: dict[tuple[Any, ...], Line] = {}
        first_day = "" if since is None else f"{since:%Y%m%d}"
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(ENDING) and name[:8] >= first_day:
                for line in self.lines(name):
                    if since is None or (line.finished_at is not None and line.finished_at >= since):
                        seen[(line.job, line.number, line.outcome, line.claimed_at)] = line
        yield from sorted(seen.values(), key=lambda line: line.finished_at.timestamp() if line.finished_at else 0.0)

    def lines(self, name: str) -> Iterator[Line]:
        with suppress(FileNotFoundError):
            file = os.open(name, files.LOOK, dir_fd=self.folder)
            with os.fdopen(file, "rb") as stream:
                for text in stream:
                    with suppress(msgspec.DecodeError, msgspec.ValidationError):
                        yield msgspec.json.decode(text, type=Line)

    def close(self, now: datetime | None = None) -> None:
        """Tries a last time to write what waits."""
        with self.lock:
            if self.unwritten and now is not None and (error := self.write(now)) is not None:
                log.error("%d lines are missing in the journal (%s)", len(self.unwritten), error.strerror)
            self.let_go()

    def let_go(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None
