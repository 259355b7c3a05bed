"""How long attempts ran, and how long they waited: by order of magnitude, since both have long tails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.analytics.pictures.asked import Asked, Floats, Since, Source, instants, jumped, load, read_asked, require, spans
from jobqueue.analytics.pictures.chart import Chart, Panel
from jobqueue.analytics.pictures.history import Groups, Ints, counted, grouped, magnitudes
from jobqueue.analytics.pictures.picture import Picture
from jobqueue.analytics.pictures.scales import count_scale, log_span_scale, span_text
from jobqueue.analytics.pictures.svg import Bars, Look, Markers, Tip
from jobqueue.analytics.pictures.wording import columns, durations, left_out, looks_of, nothing, tip_lines, when
from jobqueue.model.times import Duration

TITLES = {"run": "Run time", "wait": "Wait time"}
VERBS = {"run": "ran", "wait": "waited"}
NO_EDGES = [0.01, 0.1, 1.0, 10.0]
HEADROOM = 1.35
"""The names of the percentiles stand above the bars."""


def run_time(
    source: Source,
    range: Duration | None = None,
    *,
    since: Since = None,
    until: Since = None,
    by: str = "outcome",
    timezone: Any = None,
    **filters: Any,
) -> Picture:
    """How long attempts ran, by order of magnitude, with the p50, p95 and p99 of all of them."""
    return distribution("run", source, read_asked(source, range, since, until, timezone), by, filters)


def wait_time(
    source: Source,
    range: Duration | None = None,
    *,
    since: Since = None,
    until: Since = None,
    by: str = "outcome",
    timezone: Any = None,
    **filters: Any,
) -> Picture:
    """How long jobs waited from when they were due to when they were claimed, by order of magnitude, with p50, p95 and p99."""
    return distribution("wait", source, read_asked(source, range, since, until, timezone), by, filters)


def distribution(column: str, source: Source, asked: Asked, by: str, filters: Mapping[str, Any]) -> Picture:
    require(by, "by")
    frame = load(source, asked, ("finished_at", column, by), filters)
    times = instants(frame["finished_at"], "finished_at")
    asked = asked.settled(times, isinstance(source, pd.DataFrame))
    seconds = spans(frame[column], column)
    inside = asked.holds(times)
    odd = inside & (jumped(frame) | (seconds < 0))
    known = inside & ~odd & np.isfinite(seconds)
    seconds = seconds[known]
    groups = grouped(frame[by], by).at(known)
    edges = magnitudes(seconds) if len(seconds) else NO_EDGES
    counts = counted(np.maximum(seconds, edges[0]), groups, edges)
    marks = percentiles(seconds)
    title = TITLES[column] if by == "outcome" else f"{TITLES[column]} by {by}"
    told = told_of(column, asked, seconds, marks, int(odd.sum()))
    chart = chart_of(title, told, edges, groups, looks_of(groups, by), counts, marks, bool((seconds < edges[0]).any()))
    table = pd.DataFrame({"start": durations(edges[:-1]), "end": durations(edges[1:])})
    return Picture(title, told, table.assign(**columns(groups, counts, [*table.columns])), chart)


def percentiles(seconds: Floats) -> dict[str, float]:
    if not len(seconds):
        return {}
    p50, p95, p99 = np.quantile(seconds, (0.5, 0.95, 0.99)).tolist()
    return {"p50": p50, "p95": p95, "p99": p99}


def told_of(column: str, asked: Asked, seconds: Floats, marks: Mapping[str, float], odd: int) -> str:
    if not len(seconds):
        return nothing("attempts", asked) + (f".{left_out(odd)}" if odd else "")
    verb = VERBS[column]
    if len(seconds) == 1:
        return f"1 attempt {when(asked)}: it {verb} {span_text(float(seconds[0]))}.{left_out(odd)}"
    p50, p95, p99 = (span_text(at) for at in marks.values())
    return (
        f"{len(seconds):,} attempts {when(asked)}: half {verb} at most {p50}, 95% at most {p95}, 99% at most {p99}; the "
        f"longest {span_text(float(seconds.max()))}.{left_out(odd)}"
    )


def chart_of(
    title: str,
    told: str,
    edges: Sequence[float],
    groups: Groups,
    looks: Sequence[Look],
    counts: Ints,
    marks: Mapping[str, float],
    open_below: bool,
) -> Chart:
    shown = [index for index, row in enumerate(counts) if row.any()]
    bars = Bars(edges, [counts[index].tolist() for index in shown], [looks[index] for index in shown])
    most = int(counts.sum(axis=0).max())
    return Chart(
        title=title,
        told=told,
        axis=partial(log_span_scale, edges[0], edges[-1]),
        panels=[Panel("Attempts", 190, [bars, markers_of(marks)], partial(count_scale, most * HEADROOM))],
        legend=[(groups.names[index], looks[index]) for index in shown],
        tips=tips_of(edges, counts, groups, open_below),
        empty="" if shown else told,
    )


def markers_of(marks: Mapping[str, float]) -> Markers:
    """One for all that are equal."""
    alike: dict[str, list[str]] = {}
    for name, at in marks.items():
        alike.setdefault(span_text(at), []).append(name)
    return Markers([(marks[names[0]], f"{', '.join(names)} {text}") for text, names in alike.items()])


def tips_of(edges: Sequence[float], counts: Ints, groups: Groups, open_below: bool) -> list[Tip]:
    """What was too short to be told apart is in the first of the bins, which is then open."""
    tips = []
    for index, column in enumerate(counts.T):
        lines = tip_lines(groups.names, column.tolist())
        if lines:
            low, high = span_text(edges[index]), span_text(edges[index + 1])
            head = f"up to {high}" if open_below and index == 0 else f"{low} to {high}"
            tips.append(Tip(edges[index], edges[index + 1], "\n".join([head, *lines])))
    return tips
