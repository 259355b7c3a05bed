"""Failures in groups: those of one cause together, the most frequent first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, overload

import numpy as np
import pandas as pd

from jobqueue.analytics.causes import cause_of, place_of
from jobqueue.analytics.frames import attempts
from jobqueue.analytics.metrics import Since, require_column
from jobqueue.errors import JobNotFound
from jobqueue.inert import inert
from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.queue.queue import Queue

LOOKED_AT = 3
"""So many jobs of a group are opened to find a traceback: the newest first."""
NOT_RETRIED = ("cancelled", "rejected")


def errors(queue: Queue, *, since: Since = None, until: Since = None, **filters: Any) -> Errors:
    """The attempts that failed or crashed, grouped by exception, reason and message without its numbers, ids, paths, times and
    quoted values; the most frequent group first, then the one seen last. The answer is a sequence of `ErrorGroup`.

    Filters are columns of the attempts: `type="scan"`, `project=["a", "b"]`, ... `queue.retry(errors[0])` runs a group again.
    """
    for word in filters:
        require_column(word, "filter")
    frame = attempts(queue, since=since, until=until)
    for name, wanted in filters.items():
        if wanted is not None:
            frame = frame[frame[name].isin([wanted] if isinstance(wanted, (str, int)) else list(wanted))]
    return Errors(queue, frame[frame["outcome"].isin(["failed", "crashed"])])


@dataclass(frozen=True, eq=False)
class ErrorGroup:
    """Failures of one cause. To iterate over it gives the ids of its jobs that are failed now and failed last by this cause:
    what `queue.retry(group)` takes. `message` is without what differs, `sample` the message of the example in full."""

    reason: str
    type: str | None
    message: str
    count: int
    first_seen: datetime
    last_seen: datetime
    types: list[str]
    versions: list[str]
    workers: list[str]
    example: str
    sample: str
    jobs: list[str]
    """Ids of all jobs that failed so, the newest first."""
    last: frozenset[str] = field(repr=False)
    """Ids of those that did not fail in another way later."""
    queue: Queue = field(repr=False)

    @property
    def cause(self) -> str:
        """`ValueError: row <n>`, or the reason where no exception is known: `timeout: ran longer than <n> s`."""
        return f"{self.type or self.reason}: {self.message}" if self.message else self.type or self.reason

    @cached_property
    def traceback(self) -> str | None:
        """Of the newest job whose file is still there; it stays with the job, so that purging takes it away."""
        for id in self.jobs[:LOOKED_AT]:
            try:
                job = self.queue.store.get(id).job
            except JobNotFound:
                continue
            if (found := traceback_in(job, self.message)) is not None:
                return found
        return None

    @property
    def place(self) -> str | None:
        """Where in the user's code it was raised, as far as a job still tells."""
        return None if self.traceback is None else place_of(self.traceback)

    def __iter__(self) -> Iterator[str]:
        wanted = [id for id in self.jobs if id in self.last]
        now = self.queue.store.digests((Status.FAILED,), wanted)
        failed = {digest.id for digest in now if digest.reason not in NOT_RETRIED}
        return (id for id in wanted if id in failed)

    def show(self) -> None:
        """Prints all that is known of it, and the traceback of the example."""
        print(self)

    def __str__(self) -> str:
        from jobqueue.analytics.telling import group_text

        return group_text(self)

    def __repr__(self) -> str:
        return f"<ErrorGroup {self.count} x {inert(self.cause)}, last seen {self.last_seen:%Y-%m-%d %H:%M:%S} UTC>"


def traceback_in(job: Job, message: str) -> str | None:
    """That of the last attempt that failed with a message like this one."""
    failures = [attempt.error for attempt in job.history] + [job.error]
    for failure in reversed(failures):
        if failure is not None and failure.traceback is not None and cause_of(failure.message) == message:
            return failure.traceback
    return None


class Errors(Sequence[ErrorGroup]):
    """The groups; `frame` is one row for each of them."""

    def __init__(self, queue: Queue, failures: pd.DataFrame) -> None:
        self.groups = grouped(queue, failures)

    def __len__(self) -> int:
        return len(self.groups)

    @overload
    def __getitem__(self, index: int) -> ErrorGroup: ...
    @overload
    def __getitem__(self, index: slice) -> list[ErrorGroup]: ...
    def __getitem__(self, index: int | slice) -> ErrorGroup | list[ErrorGroup]:
        return self.groups[index]

    @property
    def frame(self) -> pd.DataFrame:
        names = (
            "reason",
            "type",
            "message",
            "count",
            "first_seen",
            "last_seen",
            "types",
            "versions",
            "workers",
            "example",
            "jobs",
        )
        return pd.DataFrame([{name: getattr(group, name) for name in names} for group in self.groups], columns=list(names))

    def __repr__(self) -> str:
        from jobqueue.analytics.telling import errors_text

        return errors_text(self)

    def _repr_html_(self) -> str:
        from jobqueue.analytics.telling import errors_html

        return errors_html(self)


def grouped(queue: Queue, failures: pd.DataFrame) -> list[ErrorGroup]:
    """Each different message is looked at once; the rest are numbers."""
    if failures.empty:
        return []
    failures = failures.sort_values("finished_at", ascending=False, kind="stable", na_position="last")
    places, messages = pd.factorize(failures["error"].fillna(""))
    causes = np.array([cause_of(message) for message in messages], dtype=object)[places]
    keys = pd.DataFrame(
        {name: failures[name].astype("object").fillna("") for name in ("reason", "error_type")} | {"message": causes}
    )
    numbers = keys.groupby(list(keys), sort=False).ngroup().to_numpy()
    latest = ~failures["job"].duplicated().to_numpy()
    order = np.argsort(numbers, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    groups = [group_of(queue, failures.iloc[part], str(causes[part[0]]), latest[part]) for part in parts]
    return sorted(groups, key=lambda group: (-group.count, -group.last_seen.timestamp(), group.cause))


def group_of(queue: Queue, rows: pd.DataFrame, message: str, latest: Any) -> ErrorGroup:
    newest = rows.iloc[0]
    jobs = rows["job"].drop_duplicates()
    seen = rows["finished_at"]
    return ErrorGroup(
        reason=text_of(newest["reason"]) or str(newest["outcome"]),
        type=text_of(newest["error_type"]),
        message=message,
        count=len(rows),
        first_seen=seen.min().to_pydatetime(),
        last_seen=seen.max().to_pydatetime(),
        types=words(rows["type"]),
        versions=words(rows["version"]),
        workers=words(rows["worker"]),
        example=str(newest["job"]),
        sample=text_of(newest["error"]) or "",
        jobs=list(jobs),
        last=frozenset(rows["job"][latest]),
        queue=queue,
    )


def words(column: pd.Series) -> list[str]:
    return sorted(str(value) for value in column.dropna().unique())


def text_of(value: Any) -> str | None:
    return None if pd.isna(value) or value == "" else str(value)
