"""The append-only record of finished attempts: one JSON object a line, one file for each writer and day.

Metrics come from here, so that purging a job never changes them. It is never the truth about where a job is.
A line is written at least once; (job, number of the attempt, outcome) tells doubles apart. A torn last line is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import msgspec

from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.commit import FULL

ENDING = ".jsonl"
TRACEBACK_STAYS_WITH_JOB = None
MOST_UNWRITTEN = 16 << 20
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
    """Appends with one `write` for each group of attempts; reads all files of all writers."""

    def __init__(self, folder: int) -> None:
        self.folder = folder
        self.writer = f"{os.getpid()}-{os.urandom(3).hex()}"
        self.unwritten = b""
        self.day = date.min
        self.file: int | None = None

    def append(self, attempts: Sequence[tuple[Job, Attempt]], now: datetime) -> None:
        if not attempts:
            return
        self.unwritten += b"".join(encoder.encode(line_of(job, attempt)) + b"\n" for job, attempt in attempts)
        files.step("journal")
        try:
            files.write_all(self.file_of(now), self.unwritten)
        except OSError as error:
            # A full disk must not keep jobs from finishing: these lines go out with the next ones.
            if error.errno not in FULL or len(self.unwritten) > MOST_UNWRITTEN:
                raise
            return
        self.unwritten = b""

    def file_of(self, now: datetime) -> int:
        if self.file is None or now.date() != self.day:
            self.close()
            self.file = os.open(f"{now:%Y%m%d}-{self.writer}{ENDING}", files.APPEND, 0o600, dir_fd=self.folder)
            self.day = now.date()
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
                    with suppress(*UNREADABLE):
                        yield msgspec.json.decode(text, type=Line)

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None
