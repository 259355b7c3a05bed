"""A batch as frames: what went in, what came out, joined by the row of the frame that each job was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
from pandas import DataFrame as DataFrame

from jobqueue.analytics.indexes import index_of, rows_of
from jobqueue.analytics.values import payloads_of
from jobqueue.errors import InvalidJob, JobNotFound
from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.queue.bulk import Bulk, BulkRow
from jobqueue.queue.handle import JobHandle

if TYPE_CHECKING:
    from jobqueue.queue.frame import FrameBatch

COLUMNS = ("job", "status", "result", "reason", "error_type", "error")
GONE = "gone"
MISSING = object()
LARGEST, EXACT = 1 << 63, 1 << 53
"""Beyond these no int64, and no float, holds an integer."""


def take_apart(frame: Any, columns: Sequence[str] | None, zone: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The payload of each row, and what is to be kept of its place in the index."""
    if not isinstance(frame, pd.DataFrame):
        if not callable(getattr(frame, "to_pandas", None)):
            raise InvalidJob(f"frame: a {type(frame).__name__} is not a DataFrame; give one, as in pd.DataFrame(rows)")
        frame = frame.to_pandas()
    return payloads_of(frame, columns, zone), rows_of(frame.index)


# -- what came out


class Read:
    """The jobs of a batch as they are now, read once; one that was purged is read from the trash, or as it was last seen."""

    def __init__(self, batch: FrameBatch) -> None:
        self.queue = batch.queue
        self.trash: dict[str, Job] | None = None

    def __call__(self, handle: JobHandle[Any]) -> tuple[str, Job]:
        try:
            located = handle.located
        except JobNotFound:
            return GONE, self.trashed.get(handle.id, handle.record)
        return located.status.value, located.job

    @property
    def trashed(self) -> dict[str, Job]:
        if self.trash is None:
            self.trash = {job.id: job for job in self.queue.store.trashed()}
        return self.trash


def results(batch: FrameBatch, spread: bool) -> pd.DataFrame:
    """One row for each row of the frame that went in, with its index."""
    read = Read(batch)
    return results_of([outcome_of(runs, read) for runs in batch.runs.values()], batch_index(batch), spread)


def batch_index(batch: FrameBatch) -> Any:
    rows = [dict(runs[0].last_seen.job.row or {}) for runs in batch.runs.values()]
    return index_of(rows, list(batch.runs))


def outcome_of(runs: Sequence[JobHandle[Any]], read: Read) -> dict[str, Any]:
    """The newest run of a row. One that redid some columns only leaves the others as the run before it has them."""
    status, job = read(runs[-1])
    error = job.error
    return {
        "job": job.id,
        "status": status,
        "result": merged(job, runs, read),
        "reason": None if error is None else error.reason,
        "error_type": None if error is None else error.type,
        "error": None if error is None else error.message,
    }


def merged(job: Job, runs: Sequence[JobHandle[Any]], read: Read) -> Any:
    own = job.result if job.finished and job.error is None else MISSING
    columns = columns_of(job)
    if columns is None or len(runs) < 2:
        return own
    before = merged(read(runs[-2])[1], runs[:-1], read)
    if not isinstance(before, dict):
        return before if own is MISSING else own
    kept = {key: value for key, value in before.items() if key not in columns}
    if own is MISSING or not isinstance(own, dict):
        return kept if own is MISSING else own
    new = {key: value for key, value in own.items() if key in columns}
    order = [*before, *(key for key in new if key not in before)]
    both = kept | new
    return {key: both[key] for key in order if key in both}


def columns_of(job: Job) -> list[str] | None:
    """Which columns a redo was asked for."""
    columns = job.redo_of.get("columns") if isinstance(job.redo_of, dict) else None
    return columns if isinstance(columns, list) else None


def results_of(outcomes: Sequence[Mapping[str, Any]], index: pd.Index[Any], spread: bool) -> pd.DataFrame:
    given = {name: [outcome[name] for outcome in outcomes] for name in COLUMNS}
    values = given.pop("result")
    dicts = [value if isinstance(value, dict) else {} for value in values] if spread else []
    keys = list(dict.fromkeys(key for found in dicts for key in found))
    rest = [MISSING if spread and isinstance(value, dict) else value for value in values]
    columns: dict[str, Any] = {"job": text(given["job"], index), "status": category(given["status"], index)}
    if not keys or any(value is not MISSING for value in rest):
        columns["result"] = column(rest, index)
    for key in keys:
        name = f"result.{key}" if key in COLUMNS else key
        columns[name] = column([found.get(key, MISSING) for found in dicts], index)
    columns["reason"] = category(given["reason"], index)
    columns["error_type"], columns["error"] = text(given["error_type"], index), text(given["error"], index)
    return pd.DataFrame(columns, index=index)


def text(values: Sequence[Any], index: pd.Index[Any]) -> pd.Series[Any]:
    return pd.Series(list(values), index=index, dtype="str")


def category(values: Sequence[Any], index: pd.Index[Any]) -> pd.Series[Any]:
    return pd.Series(pd.Categorical(values), index=index)


def column(values: Sequence[Any], index: pd.Index[Any]) -> pd.Series[Any]:
    """JSON values in the narrowest dtype that changes none of them: integers stay integers where some are missing."""
    clean = [None if value is MISSING else value for value in values]
    kinds = {type(value) for value in clean if value is not None}
    missing = any(value is None for value in clean)
    dtype: str = "object"
    if kinds == {bool}:
        dtype = "boolean" if missing else "bool"
    elif kinds == {int} and all(value is None or -LARGEST <= value < LARGEST for value in clean):
        dtype = "Int64" if missing else "int64"
    elif kinds == {float} or (kinds == {int, float} and all(value is None or abs(value) <= EXACT for value in clean)):
        dtype = "float64"
    elif kinds == {str}:
        dtype = "str"
    return pd.Series(clean, index=index, dtype=dtype)


# -- what went in, and both


def inputs(batch: FrameBatch) -> pd.DataFrame:
    """The payloads, as the rows that they were."""
    payloads = [runs[0].last_seen.job.payload for runs in batch.runs.values()]
    index = batch_index(batch)
    names = list(dict.fromkeys(name for payload in payloads for name in payload))
    return pd.DataFrame({name: column([payload.get(name) for payload in payloads], index) for name in names}, index=index)


def whole(batch: FrameBatch) -> pd.DataFrame:
    """What went in beside what came out; where both have a name, ours is `job.<name>`."""
    left, right = inputs(batch), results(batch, spread=False)
    right = right.rename(columns={name: f"job.{name}" for name in right.columns if name in left.columns})
    return pd.concat([left.reset_index(drop=True), right.reset_index(drop=True)], axis=1).set_axis(left.index, axis=0)


def errors(batch: FrameBatch) -> pd.DataFrame:
    """The rows that failed, and why."""
    found = results(batch, spread=False)
    return found[(found["status"] == Status.FAILED.value).to_numpy()].drop(columns=["result", "status"])


# -- bulks


def bulk_frame(bulk: Bulk) -> pd.DataFrame:
    """One row for each job: id, type, status, what, why."""
    rows: Iterable[tuple[Any, ...]] = map(msgspec.structs.astuple, bulk.rows)
    frame = pd.DataFrame(list(rows), columns=list(BulkRow.__struct_fields__))
    return frame.astype({"id": "str", "type": "category", "status": "category", "what": "category", "why": "str"})
