"""What a set of attempts adds up to, for many groups at once: sums, spreads and exact percentiles, on whole columns.

An attempt counts where it ended: done, failed, crashed or cancelled. One that was snoozed or released was given back and has
not ended. The rules are said in full at `jobqueue.analytics.metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

METRIC = "metrics."
SPREADS = ("run", "wait")
PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
PARTS = ("avg", "min", "max", *PERCENTILES)
COUNTS = ("count", "completed", "failed", "cancelled", "attempts", "retries", "crashes", "clock_jumps")
SPAN = "timedelta64[us]"


@dataclass(frozen=True)
class Rows:
    """Attempts as columns that can be added up, one element for each. Spans are microseconds, NaN where none counts."""

    flags: dict[str, Bools]
    spans: dict[str, Floats]
    counted: dict[str, Floats]
    """What handlers counted, by the name of the metric."""

    def __len__(self) -> int:
        return len(self.flags["attempts"])


def prepare(frame: pd.DataFrame, by_attempts: bool = False) -> Rows:
    """`completed` and `failed` are the jobs that ended so, or with `by_attempts` every single attempt."""
    is_ = outcomes(frame)
    done, bad = is_("done"), is_("failed", "crashed")
    ended = done | bad | is_("cancelled")
    jump = frame["clock_jump"].to_numpy(dtype=bool)
    again = frame["attempt"].to_numpy(dtype=np.int64) > 1
    failed = bad if by_attempts else bad & ~tried_again(frame, bad, again)
    flags = {
        "count": done | failed,
        "completed": done,
        "failed": failed,
        "cancelled": is_("cancelled"),
        "attempts": ended,
        "retries": ended & again,
        "crashes": is_("crashed"),
        "clock_jumps": ended & jump,
    }
    spans = {"run": span(frame["run"], (done | is_("failed")) & ~jump), "wait": span(frame["wait"], ended & ~jump)}
    counted = {name.removeprefix(METRIC): frame[name].to_numpy(dtype=float) for name in counted_in(frame)}
    return Rows(flags, spans, counted)


def counted_in(frame: pd.DataFrame) -> list[str]:
    """The columns of what handlers counted."""
    return [name for name in map(str, frame.columns) if name.startswith(METRIC)]


def outcomes(frame: pd.DataFrame) -> Any:
    """A function from outcomes to which rows have one of them; each row is looked at as a small number."""
    values = frame["outcome"].astype("category").array
    codes, known = np.asarray(values.codes), list(values.categories)

    def having(*words: str) -> Bools:
        return np.isin(codes, [known.index(word) for word in words if word in known])

    return having


def tried_again(frame: pd.DataFrame, bad: Bools, again: Bools) -> Bools:
    """Of the failed attempts, those that another try of the same job came after. (After a retry by a person the numbers
    begin at 1 again.) Only failures and second tries are looked at: most attempts are neither."""
    found = np.zeros(len(frame), dtype=bool)
    rows = np.flatnonzero(bad | again)
    if not len(rows):
        return found
    part = frame.iloc[rows]
    jobs, _ = pd.factorize(part["job"])
    numbers = part["attempt"].to_numpy(dtype=np.int64)
    order = np.lexsort((numbers, instants(part["finished_at"]), jobs))
    jobs, numbers, rows = jobs[order], numbers[order], rows[order]
    followed = (jobs[1:] == jobs[:-1]) & (numbers[1:] > numbers[:-1])
    found[rows[:-1][followed]] = True
    return found & bad


def instants(times: pd.Series) -> Ints:
    """Microseconds since 1970 in UTC; a time that is missing is the smallest number."""
    return times.to_numpy(dtype="datetime64[us]").astype(np.int64)


def span(spans: pd.Series, where: Bools) -> Floats:
    values = spans.to_numpy(dtype=SPAN)
    known = where & ~np.isnat(values)
    return np.where(known, values.astype(np.int64).astype(float), np.nan)


def measure(rows: Rows, groups: Ints, count: int) -> pd.DataFrame:
    """A row for each of so many groups; `groups` says of each attempt to which it belongs. What nothing tells is missing."""
    columns: dict[str, Any] = {name: np.bincount(groups[flag], minlength=count) for name, flag in rows.flags.items()}
    columns["success_rate"] = share(columns["completed"], columns["count"])
    for name, values in rows.spans.items():
        for part, each in spread(values, groups, count).items():
            columns[f"{name}_{part}"] = whole(each)
    for name, values in rows.counted.items():
        known = np.isfinite(values)
        seen = np.bincount(groups[known], minlength=count)
        total = np.bincount(groups[known], weights=values[known], minlength=count)
        columns[METRIC + name] = np.where(seen > 0, total, np.nan)
    return pd.DataFrame(columns)


def share(part: Ints, whole: Ints) -> Floats:
    found = np.full(len(whole), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def whole(values: Floats) -> Any:
    """Timedeltas of whole microseconds; NaN becomes NaT."""
    known = np.isfinite(values)
    found = np.full(len(values), np.timedelta64("NaT", "us"), dtype=SPAN)
    found[known] = np.rint(values[known]).astype(np.int64).astype(SPAN)
    return found


def spread(values: Floats, groups: Ints, count: int) -> dict[str, Floats]:
    """Average, least, most and percentiles of each group. A percentile that falls between two values lies on the line
    between them, as with `numpy.percentile` and `statistics.quantiles(..., method="inclusive")`."""
    known = ~np.isnan(values)
    values, groups = values[known], groups[known]
    order = np.argsort(values)
    if count > 1:
        order = order[np.argsort(groups[order], kind="stable")]
    ranked = values[order]
    sizes = np.bincount(groups, minlength=count)
    some = sizes > 0
    first = (np.cumsum(sizes) - sizes)[some]
    last = first + sizes[some] - 1
    found = {part: np.full(count, np.nan) for part in PARTS}
    if len(ranked):
        found["avg"][some] = np.add.reduceat(ranked, first) / sizes[some]
        found["min"][some], found["max"][some] = ranked[first], ranked[last]
        for part, quantile in PERCENTILES.items():
            place = quantile * (last - first)
            step = np.floor(place).astype(np.int64)
            below, above = first + step, np.minimum(first + step + 1, last)
            found[part][some] = ranked[below] + (place - step) * (ranked[above] - ranked[below])
    return found
