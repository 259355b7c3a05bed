"""One filter for lists, bulk verbs, panels and the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from jobqueue.errors import InvalidJob
from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.model.times import Duration, parse_since


class Reasoned(Protocol):
    @property
    def reason(self) -> str: ...


class Brief(Protocol):
    """The little of a job that most filters ask for."""

    @property
    def type(self) -> str: ...
    @property
    def project(self) -> str | None: ...
    @property
    def batch(self) -> str | None: ...
    @property
    def error(self) -> Reasoned | None: ...


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs: every field that is given must match. `since` and `until` look at the last change (`updated_at`)."""

    types: tuple[str, ...] = ()
    project: str | None = None
    batch: str | tuple[str, ...] | None = None
    tag: str | None = None
    key: str | None = None
    text: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def empty(self) -> bool:
        return self == Filter()

    @property
    def at_first_sight(self) -> Filter:
        """The part of it that `may_match` looks at."""
        return Filter(types=self.types, project=self.project, batch=self.batch, reason=self.reason)

    def may_match(self, job: Brief) -> bool:
        return (
            (not self.types or job.type in self.types)
            and (self.project is None or job.project == self.project)
            and (self.batch is None or is_one_of(job.batch, self.batch))
            and (self.reason is None or (job.error is not None and job.error.reason == self.reason))
        )

    def matches(self, job: Job) -> bool:
        return (
            self.may_match(job)
            and (self.tag is None or self.tag in job.tags)
            and (self.key is None or job.idempotency_key == self.key)
            and (self.since is None or when(job) >= self.since)
            and (self.until is None or when(job) < self.until)
            and (self.text is None or has_text(job, self.text))
        )


LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def is_one_of(word: str | None, wanted: str | tuple[str, ...]) -> bool:
    return word == wanted if isinstance(wanted, str) else word in wanted


def when(job: Job) -> datetime:
    return job.updated_at or job.created_at or LONG_AGO


def has_text(job: Job, text: str) -> bool:
    """Whether a text stands in the id, type, name, project, batch, tags, payload or error, in any case."""
    error = job.last_error
    parts = [job.id, job.type, job.title, job.project or "", job.batch or "", *job.tags]
    parts += [error.message, error.type or ""] if error else []
    parts.append(json.dumps(job.payload, ensure_ascii=False))
    return text.casefold() in "\n".join(parts).casefold()


def make_filter(
    now: datetime,
    *,
    type: str | Iterable[str] | None = None,
    project: str | int | None = None,
    batch: str | int | Iterable[str | int] | None = None,
    tag: str | None = None,
    key: str | None = None,
    text: str | None = None,
    reason: str | None = None,
    since: datetime | Duration | None = None,
    until: datetime | Duration | None = None,
    older_than: Duration | None = None,
) -> Filter:
    """A filter from what people type: `since="24h"` is the last day, `older_than="7d"` is what has rested a week."""
    if until is not None and older_than is not None:
        raise InvalidJob("older_than: given together with until; give one of the two")
    end = until if older_than is None else older_than
    return Filter(
        types=(type,) if isinstance(type, str) else tuple(type or ()),
        project=None if project is None else str(project),  # other systems number them; on disk they are texts
        batch=None if batch is None else str(batch) if isinstance(batch, (str, int)) else tuple(map(str, batch)),
        tag=tag,
        key=key,
        text=text,
        reason=reason,
        since=None if since is None else parse_since(since, now, "since"),
        until=None if end is None else parse_since(end, now, "until" if older_than is None else "older_than"),
    )


def status_of(job: Job) -> Status:
    """Where a finished job belongs: the folder that its outcome speaks of."""
    return Status.DONE if job.error is None else Status.FAILED
