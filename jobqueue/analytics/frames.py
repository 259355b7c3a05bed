"""The journal as DataFrames: what has ever run, what was done, item by item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.analytics.history import history_of
from jobqueue.errors import InvalidJob
from jobqueue.model.times import Duration, parse_since
from jobqueue.queue.queue import Queue

Since = datetime | Duration | None
One = str | int | Iterable[str] | None

TEXTS = ("job", "type", "name", "project", "batch", "subject", "error")
"""Where `text` is looked for in attempts."""
ONLY_FILES = ("tag", "key")
"""What stands in the files of jobs, not in the journal."""


def attempts(
    queue: Queue, *, since: Since = None, until: Since = None, older_than: Duration | None = None, **filters: Any
) -> pd.DataFrame:
    """One row for each finished attempt (`schema.ATTEMPTS`), oldest first. Purging jobs changes nothing here.

    `since` and `until` (or `older_than`) look at `finished_at`: aware datetimes, or ages such as `"24h"`. Filters, each one
    value or several: job, type, project, batch, subject, outcome, reason, worker, host, version, code, name, error_type;
    and `text`, anywhere in it. A second call reads only what is new.
    """
    frame = history_of(queue.store).frame(queue.store, "attempts")
    names = ("job", "type", "project", "batch", "subject", "outcome", "reason")
    more = ("worker", "host", "version", "code", "name", "error_type")
    ranged = within(frame, "finished_at", queue, since, until, older_than)
    return chosen(ranged, "attempts", (*names, *more), filters, TEXTS)


def items(
    queue: Queue, *, since: Since = None, until: Since = None, older_than: Duration | None = None, **filters: Any
) -> pd.DataFrame:
    """One row for each item that `ctx.track` was through with (`schema.ITEMS`), oldest first.

    Filters: job, type, project, track, key (of the item), version, code; and since, until, older_than.
    """
    frame = history_of(queue.store).frame(queue.store, "items")
    ranged = within(frame, "at", queue, since, until, older_than)
    return chosen(ranged, "items", ("job", "type", "project", "track", "key", "version", "code"), filters)


def events(
    queue: Queue, *, since: Since = None, until: Since = None, older_than: Duration | None = None, **filters: Any
) -> pd.DataFrame:
    """One row for each thing that was done to the queue (`schema.EVENTS`), oldest first.

    Filters: what, by, host, type, project, batch, reason; and since, until, older_than.
    """
    frame = history_of(queue.store).frame(queue.store, "events")
    ranged = within(frame, "at", queue, since, until, older_than)
    return chosen(ranged, "events", ("what", "by", "host", "type", "project", "batch", "reason"), filters)


def skipped(queue: Queue) -> pd.DataFrame:
    """One row for each journal file in which lines were left out: how many, the first of them, and what is wrong with it."""
    history = history_of(queue.store)
    with history.lock:
        history.refresh(queue.store)
        rows = list(history.skipped.values())
    frame = pd.DataFrame(rows, columns=["file", "lines", "first", "why"])
    return frame.astype({"file": "str", "lines": "int64", "first": "int64", "why": "str"})


def within(
    frame: pd.DataFrame, column: str, queue: Queue, since: Since, until: Since, older_than: Duration | None = None
) -> pd.DataFrame:
    """The rows from `since` to before `until`: a part of the frame, for it stands in the order of that column."""
    if until is not None and older_than is not None:
        raise InvalidJob("older_than: given together with until; give one of the two")
    end = until if older_than is None else older_than
    if since is None and end is None:
        return frame
    now = queue.clock.now()
    moments = frame[column].to_numpy("datetime64[us]")
    timed = len(moments) - int(np.count_nonzero(np.isnat(moments)))

    def place(value: datetime | Duration, field: str) -> int:
        moment = parse_since(value, now, field).replace(tzinfo=None)
        return int(np.searchsorted(moments, np.datetime64(moment, "us"), side="left"))

    first = 0 if since is None else place(since, "since")
    last = timed if end is None else place(end, "until" if older_than is None else "older_than")
    part = frame.iloc[first : max(first, last)]
    return part.set_axis(pd.RangeIndex(len(part)), axis=0)


def chosen(
    frame: pd.DataFrame, what: str, names: tuple[str, ...], filters: Mapping[str, Any], texts: tuple[str, ...] = ()
) -> pd.DataFrame:
    """The rows that match every filter that was given."""
    given = {name: value for name, value in filters.items() if value is not None}
    known = (*names, "text") if texts else names
    for name in filters:
        if name not in known:
            hint = "; the journal does not have it, analytics.jobs(queue, ...) does" if name in ONLY_FILES else ""
            raise InvalidJob(
                f"{name}: not a filter of {what}{hint}; the filters are {', '.join(known)}, since, until, older_than"
            )
    if not given:
        return frame
    mask = np.ones(len(frame), np.bool_)
    for name, value in given.items():
        mask &= has_text(frame, texts, value) if name == "text" else is_one_of(frame[name], value)
    return frame[mask].reset_index(drop=True)


def is_one_of(column: pd.Series[Any], wanted: One) -> Any:
    values = [wanted] if isinstance(wanted, (str, int)) else list(wanted or ())
    return column.isin([str(value) for value in values]).to_numpy()


def has_text(frame: pd.DataFrame, names: tuple[str, ...], text: str) -> Any:
    """In any case; of a category, each value is looked at once."""
    mask = np.zeros(len(frame), np.bool_)
    for name in names:
        column = frame[name]
        if column.dtype == "category":
            found = [value for value in column.cat.categories if text.casefold() in str(value).casefold()]
            mask |= column.isin(found).to_numpy()
        else:
            mask |= column.str.contains(text, case=False, regex=False).fillna(False).to_numpy(bool)
    return mask
