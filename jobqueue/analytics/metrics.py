"""How well it runs: success, durations, waiting, tokens, over a range of time, by the hour or by any column of the attempts.

What the numbers mean:

- A **job** counts when it has ended: `completed` where an attempt was done, `failed` where an attempt failed or crashed and no
  other try came after it in the range. A job that failed twice and was then done is one completed job. With
  `count="attempts"` every attempt counts: the same job is then two failed and one completed.
- `success_rate` is completed / (completed + failed), from 0 to 1. Cancelled ones are in neither; snoozed and released
  attempts were given back and have not ended.
- `attempts` are those that ended (done, failed, crashed, cancelled), `retries` those of them that were not the job's first
  try, `crashes` those in which a process died. A retry by a person makes a new first try.
- `run_*` are of attempts that were done or failed. How long a crashed one ran before it died is not known, and a cancelled
  one was cut short. `wait_*`, from when it was due to when it was claimed, are of all attempts that ended. Where the clock
  was set meanwhile (`clock_jump`) an attempt is counted, and in none of these. Percentiles are exact.
- `metrics.<name>` (tokens, ...) are sums over all attempts, however they ended: what was spent was spent.
- `throughput` is jobs (or attempts) that ended in an hour; the period that now lies in is taken up to now.
- What no attempt tells is missing (None, NaN, NaT), never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.analytics.frames import attempts
from jobqueue.analytics.measuring import METRIC, PARTS, SPREADS, Ints, Rows, counted_in, instants, measure, prepare
from jobqueue.analytics.periods import HOUR, MICROSECOND, Stretch, edges, instant, moment, read_every, read_stretch
from jobqueue.analytics.schema import ATTEMPTS
from jobqueue.errors import InvalidJob
from jobqueue.model.clock import SystemClock
from jobqueue.model.request import nearest
from jobqueue.model.schedule import parse_zone, zone_of
from jobqueue.model.times import Duration, iso
from jobqueue.queue.queue import Queue

Since = datetime | Duration | None
COLUMNS = frozenset(name for name, dtype in ATTEMPTS.items() if dtype in ("category", "str") and name != "error") | {"attempt"}
"""What attempts can be grouped and chosen by."""
TOKENS = f"{METRIC}tokens"
NEEDED = ("job", "attempt", "outcome", "finished_at", "run", "wait", "clock_jump")
ORDER = (
    *("count", "completed", "failed", "success_rate", "throughput", "cancelled", "attempts", "retries", "crashes"),
    *(f"{name}_{part}" for name in SPREADS for part in PARTS),
    "clock_jumps",
)


def metrics(
    queue: Queue | pd.DataFrame,
    range: Duration | None = None,
    *,
    since: Since = None,
    until: Since = None,
    every: Duration = "1h",
    by: str | Sequence[str] | None = None,
    timezone: Any = "UTC",
    count: str = "jobs",
    **filters: Any,
) -> Metrics:
    """Aggregates of the attempts of a queue (or of a frame of attempts); purging jobs changes nothing in them.

    `range` is "24h" (unless given), "7d", "30d", "all" or another duration and ends now, or give `since=` and `until=` (aware
    times, or ages such as "90m"). `every` and `timezone` make the periods; `by` groups by one or several of type, project,
    outcome, version, worker, host, batch, subject, ... Filters are the same words: `project="p1"`, `type=["a", "b"]`.
    Raises `InvalidTime` and `InvalidJob`, with what to write instead.
    """
    length, zone = read_every(every), zone_of(parse_zone(timezone))
    now = queue.clock.now() if isinstance(queue, Queue) else SystemClock().now()
    stretch = read_stretch(range, since, until, length, zone, now)
    groups = [by] if isinstance(by, str) else list(by or ())
    for word in (*groups, *filters):
        require_column(word, "by" if word in groups else "filter")
    if count not in ("jobs", "attempts"):
        raise InvalidJob(f"count: {count!r:.80} is unknown{nearest(str(count), {'jobs', 'attempts'})}; give jobs or attempts")
    frame = attempts(queue, since=stretch.start) if isinstance(queue, Queue) else checked(queue)
    return Metrics(chosen(frame, stretch, filters, groups), stretch, now, length, zone, groups, count)


def checked(frame: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in NEEDED if name not in frame]
    if missing:
        raise InvalidJob(f"metrics: the frame has no {', '.join(missing)}; give a queue, or rows of analytics.attempts(queue)")
    return frame


def require_column(word: Any, what: str) -> None:
    if word not in COLUMNS:
        known = ", ".join(name for name in ATTEMPTS if name in COLUMNS)
        raise InvalidJob(f"{what}: {word!r:.80} is unknown{nearest(str(word), COLUMNS)}; give one of {known}")


def chosen(frame: pd.DataFrame, stretch: Stretch, filters: Mapping[str, Any], by: Sequence[str]) -> pd.DataFrame:
    """The attempts that ended in a stretch of time and have these values, with what is measured of them."""
    ended = instants(frame["finished_at"])
    keep = (ended >= (0 if stretch.start is None else instant(stretch.start))) & (ended < instant(stretch.end))
    for name, wanted in filters.items():
        if wanted is not None:
            values = [wanted] if isinstance(wanted, (str, int)) or not isinstance(wanted, Iterable) else list(wanted)
            keep &= frame[name].isin(values).to_numpy(dtype=bool)
    needed = frame[list(dict.fromkeys([*NEEDED, *by, *counted_in(frame)]))]
    return needed if keep.all() else needed[keep]


@dataclass(frozen=True)
class Total:
    """All of a range together. Spans are timedeltas; None is what no attempt tells."""

    count: int
    completed: int
    failed: int
    success_rate: float | None
    throughput: float | None
    cancelled: int
    attempts: int
    retries: int
    crashes: int
    run_avg: timedelta | None
    run_min: timedelta | None
    run_max: timedelta | None
    run_p50: timedelta | None
    run_p95: timedelta | None
    run_p99: timedelta | None
    wait_avg: timedelta | None
    wait_min: timedelta | None
    wait_max: timedelta | None
    wait_p50: timedelta | None
    wait_p95: timedelta | None
    wait_p99: timedelta | None
    clock_jumps: int
    metrics: dict[str, float]
    """What handlers counted, by name."""


TOTALS = frozenset(field.name for field in fields(Total))


class Metrics:
    """`frame` (for each group, or without `by` each period), `periods`, `groups`, `summary`, and all of `Total` as attributes.

    Each is made when it is first asked for.
    """

    def __init__(
        self, frame: pd.DataFrame, stretch: Stretch, now: datetime, every: timedelta, zone: Any, by: Sequence[str], count: str
    ) -> None:
        self.attempts_frame = frame
        self.every, self.zone, self.by, self.counted = every, zone, list(by), count
        self.range = stretch.name
        self.now = now
        self.ended: Ints = instants(frame["finished_at"])
        first = moment(self.ended.min()) if stretch.start is None and len(frame) else None
        self.start: datetime | None = stretch.start or first
        self.before = stretch.end
        self.end: datetime = min(stretch.end, now)

    @cached_property
    def rows(self) -> Rows:
        return prepare(self.attempts_frame, self.counted == "attempts")

    @property
    def frame(self) -> pd.DataFrame:
        return self.groups if self.by else self.periods

    @cached_property
    def periods(self) -> pd.DataFrame:
        """A row for each period, also where it has no attempt; the index says where it begins."""
        return self.by_time(self.every)

    @cached_property
    def groups(self) -> pd.DataFrame:
        """A row for each value of `by` that occurs; missing values are a group too."""
        groups, index = grouped(self.attempts_frame, self.by)
        return self.shaped(measure(self.rows, groups, len(index)), self.hours).set_index(index)

    @cached_property
    def total(self) -> Total:
        frame = self.shaped(measure(self.rows, np.zeros(len(self.rows), dtype=np.int64), 1), self.hours)
        values = {str(name): plain(value) for name, value in frame.iloc[0].to_dict().items()}
        counted = {name: values.pop(METRIC + name) for name in self.rows.counted}
        return Total(**values, metrics={name: value for name, value in counted.items() if value is not None})

    @cached_property
    def summary(self) -> dict[str, Any]:
        """As the HTTP route gives it: durations are milliseconds, an hour is where it begins, null is what nothing tells."""
        hours = self.periods if self.every == HOUR else self.by_time(HOUR)
        return overview(vars(self.total) | {TOKENS: self.tokens}) | {"hourlyBreakdown": list(hourly(hours))}

    @property
    def tokens(self) -> float | None:
        return self.total.metrics.get("tokens")

    @property
    def hours(self) -> float:
        return 0.0 if self.start is None else (self.end - self.start) / HOUR

    def by_time(self, every: timedelta) -> pd.DataFrame:
        start = self.before if self.start is None else self.start
        marks = edges(start, self.before, every, self.zone) if self.start is not None else np.zeros(1, dtype=np.int64)
        places = np.searchsorted(marks, self.ended, "right") - 1
        lengths = np.diff(np.clip(marks, instant(start), max(instant(start), instant(self.end)))) / (HOUR / MICROSECOND)
        starts = pd.DatetimeIndex(marks[:-1].astype("datetime64[us]"), name="start").tz_localize("UTC").tz_convert(self.zone)
        return self.shaped(measure(self.rows, places, len(starts)), lengths).set_index(starts)

    def shaped(self, frame: pd.DataFrame, hours: Any) -> pd.DataFrame:
        """With the throughput, and the columns in their order: those of the schema, then what handlers counted."""
        lengths = np.broadcast_to(np.asarray(hours, dtype=float), len(frame))
        count = frame["count"].to_numpy(dtype=float)
        frame["throughput"] = np.divide(count, lengths, out=np.full(len(frame), np.nan), where=lengths > 0)
        return frame[[*ORDER, *(METRIC + name for name in sorted(self.rows.counted))]]

    def __getattr__(self, name: str) -> Any:
        if name in TOTALS:
            return getattr(self.total, name)
        raise AttributeError(f"Metrics has no {name!r}{nearest(name, TOTALS)}")

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *TOTALS})

    def __repr__(self) -> str:
        from jobqueue.analytics.telling import metrics_text

        return metrics_text(self)

    def _repr_html_(self) -> str:
        from jobqueue.analytics.telling import metrics_html

        return metrics_html(self)


def grouped(frame: pd.DataFrame, by: Sequence[str]) -> tuple[Ints, pd.Index]:
    """Of each row the number of its group, and the groups in the order of their names, missing ones last."""
    if not by:
        return np.zeros(len(frame), dtype=np.int64), pd.Index(["all"], name="group")
    codes, labels = zip(*(coded(frame[name]) for name in by), strict=True)
    combined = np.zeros(len(frame), dtype=np.int64)
    for part, known in zip(codes, labels, strict=True):
        combined = combined * len(known) + part
    occurring, groups = compressed(combined)
    places = np.unravel_index(occurring, [len(known) for known in labels])
    names = [[known[place] for place in part] for known, part in zip(labels, places, strict=True)]
    return groups, pd.Index(names[0], name=by[0]) if len(by) == 1 else pd.MultiIndex.from_arrays(names, names=list(by))


def compressed(codes: Ints) -> tuple[Ints, Ints]:
    """The codes that occur, in order, and of each row the place of its own among them."""
    most = int(codes.max(initial=-1)) + 1
    if most > 4 * len(codes) + 1000:
        found = np.unique(codes, return_inverse=True)
        return found[0], found[1]
    occurring = np.flatnonzero(np.bincount(codes, minlength=most))
    places = np.zeros(most, dtype=np.int64)
    places[occurring] = np.arange(len(occurring))
    return occurring, places[codes]


def coded(column: pd.Series) -> tuple[Ints, list[Any]]:
    """Each value as a number in the order of the values; the last number is for those that are missing."""
    codes, found = pd.factorize(column)
    values = list(found)
    numbers = all(isinstance(value, (int, np.integer)) for value in values)
    order = sorted(range(len(values)), key=lambda place: values[place] if numbers else str(values[place]))
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[order] = np.arange(len(values))
    rank[-1] = len(values)
    return rank[codes], [*(values[place] for place in order), None]


def plain(value: Any) -> Any:
    """A value of a frame in Python's own types; None where it is missing."""
    if pd.isna(value):
        return None
    return (
        value.to_pytimedelta() if isinstance(value, pd.Timedelta) else value.item() if isinstance(value, np.generic) else value
    )


def overview(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What the HTTP route says of one row of a frame, or of all of them."""
    return {
        "successRate": plain(row["success_rate"]),
        "avgDuration": milliseconds(plain(row["run_avg"])),
        "minDuration": milliseconds(plain(row["run_min"])),
        "maxDuration": milliseconds(plain(row["run_max"])),
        "totalTokens": number(plain(row.get(TOKENS))),
    }


def hourly(hours: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for hour, row in zip(hours.index, hours.to_dict("records"), strict=True):
        yield {
            "hour": iso(hour.to_pydatetime()),
            "completed": int(row["completed"]),
            "failed": int(row["failed"]),
            "avgDuration": milliseconds(plain(row["run_avg"])),
            "tokens": number(plain(row.get(TOKENS))),
        }


def group_summaries(found: Metrics) -> dict[str, dict[str, Any]]:
    """`overview` of each group, by its name; what has none stands under the empty text."""
    names = ["" if value is None or pd.isna(value) else str(value) for value in found.groups.index]
    return {name: overview(row) for name, row in zip(names, found.groups.to_dict("records"), strict=True)}


def milliseconds(span: timedelta | None) -> float | None:
    return None if span is None else number(span / timedelta(milliseconds=1))


def number(value: float | None) -> float | None:
    """As JSON likes it: 5, not 5.0; a sum that is too large for a number is none."""
    if value is None or not np.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else value
