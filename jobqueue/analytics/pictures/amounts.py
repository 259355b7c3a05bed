"""How much was done, and how well, over time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from jobqueue.analytics.pictures.asked import USUAL, Asked, Floats, Since, Source, instants, load, read_asked, require
from jobqueue.analytics.pictures.calendar import SECOND, Step, period_text
from jobqueue.analytics.pictures.chart import Chart, Panel
from jobqueue.analytics.pictures.history import Groups, Ints, counted, grouped
from jobqueue.analytics.pictures.picture import Picture, small
from jobqueue.analytics.pictures.scales import count_scale, count_text, share_scale
from jobqueue.analytics.pictures.svg import GREEN, Bars, Line, Look, Tip
from jobqueue.analytics.pictures.wording import (
    MOST,
    columns,
    looks_of,
    middles,
    moments,
    nothing,
    time_axis,
    tip_lines,
    when,
    with_zone,
)
from jobqueue.model.times import Duration

RATED = 3
"""The first of the outcomes, done, failed and crashed, are what the success rate counts: who was cancelled or gave its job
back has neither succeeded nor failed."""


def throughput(
    source: Source,
    range: Duration | None = None,
    *,
    since: Since = None,
    until: Since = None,
    every: Duration | None = None,
    by: str = "outcome",
    timezone: Any = None,
    **filters: Any,
) -> Picture:
    """How many attempts ended in each period, by outcome (or `by` type, project, worker, ...), and the share that went well.

    `every` ("1h", "1d", ...) is the length of the periods; a longer one is taken where that would make more than 96, or
    too large a picture.
    """
    require(by, "by")
    asked = read_asked(source, range, since, until, timezone)
    frame = load(source, asked, ("finished_at", "outcome", by), filters)
    times = instants(frame["finished_at"], "finished_at")
    asked = asked.settled(times, isinstance(source, pd.DataFrame))
    endings = grouped(frame["outcome"], "outcome")
    groups = endings if by == "outcome" else grouped(frame[by], by)

    def make(most: int) -> Picture:
        return picture_of(asked, times, endings, groups, by, asked.periods(every, most, SECOND))

    return small(make, USUAL if every is None else MOST)


def picture_of(
    asked: Asked, times: Floats, endings: Groups, groups: Groups, by: str, periods: tuple[Step, list[float]]
) -> Picture:
    step, edges = periods
    ends = counted(times, endings, edges)
    counts = ends if by == "outcome" else counted(times, groups, edges)
    rates = [int(good) / int(all_) if all_ else None for good, all_ in zip(ends[0], ends[:RATED].sum(axis=0), strict=True)]
    table = pd.DataFrame({"start": moments(edges[:-1]), "end": moments(edges[1:]), "success_rate": rates})
    table["success_rate"] = table["success_rate"].astype("float64")
    title = "Throughput" if by == "outcome" else f"Throughput by {by}"
    told = told_of(asked, ends, endings)
    chart = chart_of(title, told, step, edges, asked, groups, looks_of(groups, by), counts, rates)
    return Picture(title, told, table.assign(**columns(groups, counts, [*table.columns])), chart)


def told_of(asked: Asked, ends: Ints, endings: Groups) -> str:
    total, rated = int(ends.sum()), int(ends[:RATED].sum())
    if not total:
        return nothing("attempts", asked)
    each = ", ".join(f"{count:,} {name}" for name, count in zip(endings.names, ends.sum(axis=1), strict=True) if count)
    rate = f"; {share_text(int(ends[0].sum()), rated)} went well" if rated else ""
    return f"{count_text(total, 'attempt')} {when(asked)}: {each}{rate}."


def share_text(part: int, whole: int) -> str:
    """Never rounded to all or nothing where it is not."""
    share = f"{part / whole:.1%}"
    if part < whole and share == "100.0%":
        share = "more than 99.9%"
    if part and share == "0.0%":
        share = "less than 0.1%"
    return share.replace(".0%", "%")


def chart_of(
    title: str,
    told: str,
    step: Step,
    edges: Sequence[float],
    asked: Asked,
    groups: Groups,
    looks: Sequence[Look],
    counts: Ints,
    rates: Sequence[float | None],
) -> Chart:
    shown = [index for index, row in enumerate(counts) if row.any()]
    bars = Bars(edges, [counts[index].tolist() for index in shown], [looks[index] for index in shown])
    most = int(counts.sum(axis=0).max())
    return Chart(
        title=title,
        told=told,
        axis=time_axis(edges[0], edges[-1], asked),
        panels=(
            Panel("Success rate", 44, [Line(middles(edges), rates, Look(GREEN))], share_scale),
            Panel(with_zone(f"Attempts per {step}", asked), 150, [bars], partial(count_scale, most)),
        ),
        legend=[(groups.names[index], looks[index]) for index in shown],
        tips=tips_of(edges, counts, groups, rates, asked),
        empty="" if shown else told,
    )


def tips_of(edges: Sequence[float], counts: Ints, groups: Groups, rates: Sequence[float | None], asked: Asked) -> list[Tip]:
    tips = []
    for index, rate in enumerate(rates):
        lines = tip_lines(groups.names, counts[:, index].tolist())
        if lines:
            lines += [] if rate is None else [f"success {rate:.1%}"]
            text = "\n".join([period_text(edges[index], edges[index + 1], asked.zone), *lines])
            tips.append(Tip(edges[index], edges[index + 1], text))
    return tips
