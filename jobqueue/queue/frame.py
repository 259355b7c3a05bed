"""A frame goes in, a frame comes out: a job for each row, and its result in that row again.

The one module of this floor that uses analytics, and it imports it only when frames are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobqueue.errors import InvalidJob
from jobqueue.model.job import Job
from jobqueue.model.names import stamp
from jobqueue.queue.batch import Batch, superseding
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.choosing import ids_of
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.handler import handler_of, mark_of, require_importable
from jobqueue.queue.making import options_of
from jobqueue.queue.opening import MEMORY
from jobqueue.queue.signature import check_names, read_payload
from jobqueue.queue.waiting import has_ended

if TYPE_CHECKING:
    from jobqueue.analytics.batches import DataFrame as DataFrame
    from jobqueue.queue.queue import Queue

Runs = dict[int, list[JobHandle[Any]]]
OF_A_JOB = (
    *("project", "batch", "pipeline_version", "timeout", "max_attempts", "max_crashes", "backoff", "tags", "name"),
    *("concurrency_key", "on_conflict", "run_id", "row", "log_level"),
)
"""What a redo takes over from the job that it repeats."""


class FrameBatch(Batch[Any]):
    """The newest job of each row, in the order of the rows, and what one may ask of all of them together.

    `runs` are all jobs of each row by its number, oldest first. `name` finds the batch again, in any process:
    `queue.batch(name)`. `superseded` is how many unfinished jobs of an earlier run were ended for it.
    """

    def __init__(self, queue: Queue, name: str, runs: Runs, superseded: int = 0) -> None:
        super().__init__((handles[-1] for handles in runs.values()), name=name, superseded=superseded)
        self.queue = queue
        self.runs = runs

    def results(self, *, spread: bool = False) -> DataFrame:  # type: ignore[override]
        """A row for each row that went in, with its index: job, status, result, reason, error_type, error, as they are now.

        What has not finished has no result yet: `batch.wait().results()` waits. With `spread` a result that is an object has
        a column for each of its keys. A row that was done again shows its newest run.
        """
        from jobqueue.analytics.batches import results

        return results(self, spread)

    @property
    def frame(self) -> DataFrame:
        """What went in beside what came out."""
        from jobqueue.analytics.batches import whole

        return whole(self)

    def errors(self) -> DataFrame:
        """The rows that failed, with job, reason, error_type and error: `batch.redo(batch.errors())`."""
        from jobqueue.analytics.batches import errors

        return errors(self)

    def redo(
        self,
        rows: Any = None,
        columns: str | Iterable[str] | None = None,
        *,
        priority: int | str = "high",
        payload: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Batch[Any]:
        """New jobs of the same type for rows (numbers from 0, a mask, or a frame with their jobs; all by default).

        With `columns`, results() takes only these keys of the new result and keeps the others; the handler reads them in
        `ctx.job.redo_of`, {"batch", "row", "job", "columns"}. `payload` replaces some of its arguments. Earlier runs go on,
        if they have not finished; the newest is shown.
        """
        chosen = self.numbers(rows)
        wanted = None if columns is None else [columns] if isinstance(columns, str) else list(columns)
        jobs = [self.again(number, wanted, payload or {}, {"priority": priority, **options}) for number in chosen]
        made = self.queue.put(jobs, {})
        for number, handle in zip(chosen, made, strict=True):
            self.runs[number].append(handle)
        self[:] = [handles[-1] for handles in self.runs.values()]
        return Batch(made, name=self.name)

    def again(self, number: int, columns: list[str] | None, changes: Mapping[str, Any], options: dict[str, Any]) -> Job:
        first = self.runs[number][0].last_seen.job
        redo_of = {"batch": self.name, "row": number, "job": self.runs[number][-1].id}
        if columns is not None:
            redo_of["columns"] = columns
        kept = {field: value for field in OF_A_JOB if (value := getattr(first, field)) not in (None, (), "wait")}
        return self.queue.making.job(first.type, {**first.payload, **changes}, {**kept, "redo_of": redo_of, **options})

    def numbers(self, rows: Any) -> list[int]:
        """The numbers of the rows that were meant, each once."""
        if rows is None:
            return list(self.runs)
        if hasattr(rows, "columns"):
            return self.numbers_of_jobs(ids_of(rows))
        given = rows.tolist() if hasattr(rows, "tolist") else [rows] if isinstance(rows, int) else list(rows)
        if given and all(type(one) is bool for one in given):
            if len(given) != len(self.runs):
                raise InvalidJob(f"rows: a mask of {len(given):,} values for {len(self.runs):,} rows")
            given = [number for number, meant in zip(self.runs, given, strict=True) if meant]
        for number in given:
            if type(number) is not int or number not in self.runs:
                last = max(self.runs, default=-1)
                raise InvalidJob(f"rows: there is no row {number!r:.80} in {self.name!r}; rows are numbers from 0 to {last}")
        return list(dict.fromkeys(given))

    def numbers_of_jobs(self, ids: Sequence[str]) -> list[int]:
        rows = {handle.id: number for number, handles in self.runs.items() for handle in handles}
        for id in ids:
            if id not in rows:
                raise InvalidJob(f"rows: the job {id} is of no row in {self.name!r}")
        return list(dict.fromkeys(rows[id] for id in ids))

    def cancel(self) -> Bulk:
        """Cancels what has not finished, earlier runs of a row too."""
        return self.act("cancel", [job for handles in self.runs.values() for job in handles if not has_ended(job)])

    def act(self, verb: str, jobs: list[JobHandle[Any]]) -> Bulk:
        return Bulk(verb, []) if not jobs else super().act(verb, jobs)


def enqueue_frame(
    queue: Queue,
    frame: Any,
    what: str | Callable[..., Any],
    /,
    *,
    columns: Sequence[str] | None = None,
    batch: str | None = None,
    timezone: Any = None,
    supersede: bool = True,
    **options: Any,
) -> FrameBatch:
    """Adds a job for each row of a DataFrame; `batch.results()` is a frame with the same index.

    The columns (or the chosen `columns`) are the payload. Missing values are null, times ISO 8601 with their zone (naive ones
    need `timezone="Europe/Berlin"`); what JSON cannot hold raises `InvalidJob` with row and column. With the name of an
    earlier `batch` (of the same project), what is unfinished of that is cancelled, unless `supersede` is false.
    `queue.batch(name)` finds it again from any process. Options are those of `enqueue`.
    """
    from jobqueue.analytics.batches import take_apart

    options = queue.options | options
    batch = options.pop("batch", None) if batch is None else batch
    payloads, places = take_apart(frame, columns, timezone)
    type, own = (what, [options]) if isinstance(what, str) else checked(queue, what, payloads, options)
    run = f"{stamp(queue.clock.now())[:15]}-{os.urandom(4).hex()}"
    name = f"{type[:60]}-{run[:-4]}" if batch is None else str(batch)
    rows = [{"number": number, "run": run, **place} for number, place in enumerate(places)]

    def put() -> list[JobHandle[Any]]:
        """Made when it is their turn: the run that was made last is the one that is left."""
        return queue.put(queue.making.rows(type, payloads, [{**some, "batch": name} for some in own], rows), options)

    project = None if options.get("project") is None else str(options["project"])
    if batch is None or not supersede:
        handles, ended = put(), 0
    else:
        handles, ended = superseding(queue, {(project, name)}, put)
    return FrameBatch(queue, name, {number: [handle] for number, handle in enumerate(handles)}, ended)


def checked(
    queue: Queue, function: Callable[..., Any], payloads: list[dict[str, Any]], options: dict[str, Any]
) -> tuple[str, list[dict[str, Any]]]:
    """The type of a handler and the options it brings, its signature checked once and the values for each row."""
    handler = handler_of(function)
    if queue.store.url != MEMORY:
        require_importable(function)
    if payloads:
        check_names(handler, payloads[0])
    for number, payload in enumerate(payloads):
        try:
            read_payload(handler, payload)
        except InvalidJob as error:
            raise InvalidJob(f"row {number}: {error}") from None
    mark = mark_of(function)
    if mark is None or mark.concurrency_key is None:
        return handler.type, [options_of(function, options, {})]
    return handler.type, [options_of(function, options, payload) for payload in payloads]


# -- finding it again


def frame_batch(queue: Queue, name: str, handles: Iterable[JobHandle[Any]]) -> FrameBatch | None:
    """The newest run of a frame among the jobs of a batch, which come oldest first; None where no frame was enqueued."""
    of_rows = [(row, handle) for handle in handles if (row := row_of(handle.last_seen.job)) is not None]
    first = [row for row, handle in of_rows if handle.last_seen.job.redo_of is None] or [row for row, _ in of_rows]
    if not first:
        return None
    runs: Runs = {}
    for row, handle in of_rows:
        if row["run"] == first[-1]["run"]:
            runs.setdefault(row["number"], []).append(handle)
    return FrameBatch(queue, name, dict(sorted(runs.items())))


def row_of(job: Job) -> dict[str, Any] | None:
    """What a job says of its row; a file that somebody else wrote may say anything."""
    row = job.row
    if isinstance(row, dict) and type(row.get("number")) is int and isinstance(row.get("run"), str):
        return row
    return None


def bulk_frame(bulk: Bulk) -> DataFrame:
    """The rows of a bulk as a DataFrame."""
    from jobqueue.analytics import batches

    return batches.bulk_frame(bulk)
