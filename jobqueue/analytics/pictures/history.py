"""The numbers of a picture, from a million attempts in a few passes over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobqueue.analytics.pictures.asked import Floats

Ints = NDArray[np.int64]
GROUPS = ("done", "failed", "crashed", "cancelled", "given back", "other")
GROUP_OF = {**{name: name for name in GROUPS[:4]}, "snoozed": "given back", "released": "given back"}
OTHERS = "others"
SHORTEST = 1e-4
"""Seconds: what is shorter is not told apart in a distribution."""


MOST_GROUPS = 5


@dataclass(frozen=True)
class Groups:
    """For each row the place of its name in `names`, the last of which is for all others."""

    places: Ints
    names: list[str]

    def at(self, rows: NDArray[np.bool_]) -> Groups:
        return Groups(self.places[rows], self.names)


def grouped(column: pd.Series, by: str) -> Groups:
    """By outcome, in an order of its own; by anything else the most frequent values, the most frequent first."""
    codes, names = coded(column)
    if by == "outcome":
        wanted = [GROUPS.index(GROUP_OF.get(name, GROUPS[-1])) for name in names]
        return Groups(np.array([*wanted, len(GROUPS) - 1], dtype=np.int64)[codes], list(GROUPS))
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    order = sorted((code for code in range(len(names)) if counts[code]), key=lambda code: (-counts[code], names[code]))
    first = order[:MOST_GROUPS]
    place = np.full(len(names) + 1, len(first), dtype=np.int64)
    place[first] = np.arange(len(first))
    return Groups(place[codes], [*(names[code] for code in first), OTHERS])


def coded(column: pd.Series) -> tuple[Ints, list[str]]:
    categories = column.astype("category") if not isinstance(column.dtype, pd.CategoricalDtype) else column
    return np.asarray(categories.cat.codes, dtype=np.int64), [str(name) for name in categories.cat.categories]


def counted(times: Floats, groups: Groups, edges: Sequence[float]) -> Ints:
    """How many of each group in each period: a row for each group."""
    period, count = period_of(times, edges), len(edges) - 1
    inside = (period >= 0) & (period < count)
    flat = np.bincount(groups.places[inside] * count + period[inside], minlength=len(groups.names) * count)
    return flat.astype(np.int64).reshape(len(groups.names), count)


def period_of(times: Floats, edges: Sequence[float]) -> Ints:
    """Which period each time is in; -1 before the first one, and for no time at all. The last period has its end too."""
    ends = np.array(edges, dtype=np.float64)
    ends[-1] = np.nextafter(ends[-1], np.inf)
    period = np.searchsorted(ends, times, "right").astype(np.int64) - 1
    period[~np.isfinite(times)] = -1
    return period


def magnitudes(spans: Floats, most: int = 40) -> list[float]:
    """Edges of equal width by magnitude, at least two bins, so fine as `most` allows."""
    low, high = max(float(spans.min()), SHORTEST), max(float(spans.max()), SHORTEST)
    for parts in (20, 10, 5, 4, 3, 2, 1):
        first = int(np.floor(np.log10(low) * parts + 1e-9))
        last = int(np.floor(np.log10(high) * parts + 1e-9)) + 1
        if last - first <= most:
            break
    return [float(10 ** (number / parts)) for number in range(first, last + 1)]


@dataclass(frozen=True)
class Backlog:
    """For each period: the most that waited at once, how many at its end, and how long the oldest had waited by then."""

    most: Ints
    last: Ints
    oldest: Floats


def backlog(starts: Floats, ends: Floats, edges: Sequence[float]) -> Backlog:
    """Jobs wait from a start to before its end (infinite: still); exact, whatever falls between two edges."""
    keep = np.isfinite(starts) & (ends > starts) & (ends > edges[0]) & (starts < edges[-1])
    starts, ends = starts[keep], ends[keep]
    ins, outs = np.sort(starts), np.sort(ends)
    bounds = np.array(edges)
    at_edge = np.searchsorted(ins, bounds, "right") - np.searchsorted(outs, bounds, "right")
    most = np.maximum(at_edge[:-1], 0)
    # A peak is always right after an arrival: how many are in by then, less how many have left.
    arrivals = ins[(ins >= bounds[0]) & (ins < bounds[-1])]
    level = np.searchsorted(ins, arrivals, "right") - np.searchsorted(outs, arrivals, "right")
    first = np.searchsorted(arrivals, bounds[:-1], "left")
    some = np.diff(np.append(first, len(arrivals))) > 0
    if some.any():
        most[some] = np.maximum(most[some], np.maximum.reduceat(level, first[some]))
    return Backlog(most.astype(np.int64), at_edge[1:].astype(np.int64), oldest(starts, ends, bounds))


def oldest(starts: Floats, ends: Floats, bounds: Floats) -> Floats:
    """The longest that any job had waited by then, in each period.

    Of the jobs that wait from one period to another only the earliest matters, and there are few pairs of periods.
    """
    count = len(bounds) - 1
    first = np.clip(np.searchsorted(bounds, starts, "right") - 1, 0, count - 1)
    last = np.searchsorted(bounds, ends, "left") - 1  # count: it waits to the end, and beyond
    pairs = np.full((count, count + 1), np.inf)
    np.minimum.at(pairs, (first, last), starts)
    waited = np.zeros(count + 1)
    np.maximum.at(waited, last, np.where(np.isfinite(ends), ends, 0) - starts)
    longest = waited[:count]
    for period in range(count):
        through = pairs[: period + 1, period + 1 :].min(initial=np.inf)
        longest[period] = max(longest[period], bounds[period + 1] - through, 0.0)
    return longest


def slots(starts: Floats, ends: Floats, workers: Ints) -> Ints:
    """Which slot of its worker each attempt ran in: the first one that was free. By start, few rows only."""
    free: dict[tuple[int, int], float] = {}
    found = np.zeros(len(starts), dtype=np.int64)
    for index in np.lexsort((ends, starts)):
        worker, slot = int(workers[index]), 0
        while free.get((worker, slot), -np.inf) > starts[index] + 1e-9:
            slot += 1
        free[worker, slot] = float(ends[index])
        found[index] = slot
    return found
