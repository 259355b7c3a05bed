"""The journal as DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import pandas as pd

from jobqueue.analytics.schema import ATTEMPTS, EVENTS, ITEMS, JOBS
from jobqueue.model.entry import ITEM, AttemptEntry, EventEntry, ItemEntry
from jobqueue.model.times import Duration, parse_since
from jobqueue.queue.queue import Queue

Since = datetime | Duration | None


def attempts(queue: Queue, *, since: Since = None, until: Since = None) -> pd.DataFrame:
    """One row for each finished attempt (`schema.ATTEMPTS`), oldest first."""
    rows = [attempt_row(entry) for entry in queue.store.attempts()]
    return within(typed(rows, ATTEMPTS), "finished_at", queue, since, until)


def items(queue: Queue, *, since: Since = None, until: Since = None) -> pd.DataFrame:
    """One row for each item that `ctx.track` was through with (`schema.ITEMS`)."""
    found = {
        (entry.job, entry.round, entry.track, entry.key): entry
        for line in queue.store.journal_lines()
        if (entry := decoded(line, ItemEntry)) is not None and entry.what == ITEM
    }
    rows = [item_row(entry) for entry in found.values()]
    return within(typed(rows, ITEMS), "at", queue, since, until)


def events(queue: Queue, *, since: Since = None, until: Since = None) -> pd.DataFrame:
    """One row for each thing that was done to the queue (`schema.EVENTS`)."""
    entries = [decoded(line, EventEntry) for line in queue.store.journal_lines()]
    rows = [
        msgspec.to_builtins(entry, builtin_types=(datetime,)) for entry in entries if entry is not None and entry.what != ITEM
    ]
    return within(typed(rows, EVENTS), "at", queue, since, until)


def jobs(queue: Queue, status: Any = None, **filters: Any) -> pd.DataFrame:
    """One row for each job that is there (`schema.JOBS`); the filters are those of `queue.jobs`."""
    page = queue.jobs(status, limit=None, **filters)
    rows = []
    for handle in page:
        job = handle.located.job
        rows.append(
            {
                **{field: getattr(job, field, None) for field in JOBS},
                "status": handle.located.status.value,
                "tags": list(job.tags),
                "reason": job.error.reason if job.error else None,
                "error_type": job.error.type if job.error else None,
                "error": job.error.message if job.error else None,
            }
        )
    return typed(rows, JOBS)


def attempt_row(entry: AttemptEntry) -> dict[str, Any]:
    error = entry.error
    row = {name: getattr(entry, name, None) for name in ATTEMPTS}
    row |= {"attempt": entry.number, "wait": span(entry.wait_ms), "run": span(entry.run_ms)}
    row |= {"reason": None, "error_type": None, "error": None, "exit_code": None}
    if error is not None:
        row |= {"reason": error.reason, "error_type": error.type, "error": error.message, "exit_code": error.exit_code}
    row["clock_jump"] = (entry.wait_ms or 0) < 0 or (entry.run_ms or 0) < 0
    return row | {f"metrics.{name}": value for name, value in entry.metrics.items()}


def item_row(entry: ItemEntry) -> dict[str, Any]:
    row = {name: getattr(entry, name, None) for name in ITEMS}
    row |= {"attempt": entry.number, "run": None if entry.seconds is None else pd.Timedelta(seconds=entry.seconds)}
    return row | {f"metrics.{name}": value for name, value in entry.metrics.items()}


def span(milliseconds: float | None) -> Any:
    return None if milliseconds is None else pd.Timedelta(milliseconds=milliseconds)


def decoded(line: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, ValueError):
        return None


def typed(rows: list[dict[str, Any]], schema: Mapping[str, str]) -> pd.DataFrame:
    """The columns of the schema, then those of the metrics; right also where there are no rows."""
    metrics = sorted({name for row in rows for name in row if name.startswith("metrics.")})
    frame = pd.DataFrame(rows, columns=[*schema, *metrics])
    for name, dtype in schema.items():
        frame[name] = frame[name].astype(dtype)  # type: ignore[call-overload]
    return frame.astype(dict.fromkeys(metrics, "float64"))


def within(frame: pd.DataFrame, column: str, queue: Queue, since: Since, until: Since) -> pd.DataFrame:
    now = queue.clock.now()
    chosen = frame.sort_values(column, kind="stable", ignore_index=True)
    if since is not None:
        chosen = chosen[chosen[column] >= parse_since(since, now, "since")]
    if until is not None:
        chosen = chosen[chosen[column] < parse_since(until, now, "until")]
    return chosen.reset_index(drop=True)
