"""What a set of attempts adds up to, for many groups at once: sums, spreads and exact percentiles, on whole columns.

An attempt counts where it ended: done, failed, crashed or cancelled. One that was snoozed or released was given back and has
not ended. The rules are said in full at `jobqueue.analytics.metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
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
MOST_ALONE = 50_000


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
    sizes = np.bincount(groups, minlength=count)
    some = sizes > 0
    found = {part: np.full(count, np.nan) for part in PARTS}
    if not len(values):
        return found
    first = (np.cumsum(sizes) - sizes)[some]
    last = first + sizes[some] - 1
    places = {part: share * (last - first) for part, share in PERCENTILES.items()}
    below = {part: first + np.floor(place).astype(np.int64) for part, place in places.items()}
    above = {part: np.minimum(place + 1, last) for part, place in below.items()}
    ranked = ranked_in_groups(values, groups, count, first, last, [*below.values(), *above.values()])
    found["avg"][some] = np.add.reduceat(ranked, first) / sizes[some]
    found["min"][some], found["max"][some] = np.minimum.reduceat(ranked, first), np.maximum.reduceat(ranked, first)
    for part, place in places.items():
        low, high = ranked[below[part]], ranked[above[part]]
        found[part][some] = low + (place - np.floor(place)) * (high - low)
    return found


def ranked_in_groups(values: Floats, groups: Ints, count: int, first: Ints, last: Ints, wanted: Sequence[Ints]) -> Floats:
    """The values group after group, and in each group at least those of these places where they are in its order.

    To put a few places right takes a part of the time of sorting all; it is done for each group by itself, as long as there
    are not too many.
    """
    if len(first) > MOST_ALONE:
        return values[np.lexsort((values, groups))]
    small = groups.astype(np.int16) if count < 1 << 15 else groups  # numpy sorts short numbers by their digits
    ranked = values[np.argsort(small, kind="stable")] if count > 1 else values.copy()
    places = np.sort(np.stack(wanted) - first, axis=0).T.tolist()
    for start, end, right in zip(first.tolist(), last.tolist(), places, strict=True):
        ranked[start : end + 1].partition(right)
    return ranked
