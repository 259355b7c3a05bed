"""How many jobs waited, and how long the oldest of them had."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pandas as pd

from jobqueue.analytics.pictures.asked import Asked, Since, Source, load, read_asked
from jobqueue.analytics.pictures.calendar import SECOND, period_text
from jobqueue.analytics.pictures.chart import Chart, Panel
from jobqueue.analytics.pictures.history import Backlog
from jobqueue.analytics.pictures.history import backlog as backlog_of
from jobqueue.analytics.pictures.picture import Picture
from jobqueue.analytics.pictures.scales import count_scale, count_text, span_scale, span_text
from jobqueue.analytics.pictures.svg import SERIES, Area, Tip
from jobqueue.analytics.pictures.waiting import waiting_times
from jobqueue.analytics.pictures.wording import MOST, durations, left_out, moments, nothing, time_axis, when, with_zone
from jobqueue.model.times import Duration


def backlog(
    source: Source,
    range: Duration | None = None,
    *,
    since: Since = None,
    until: Since = None,
    every: Duration | None = None,
    timezone: Any = None,
    **filters: Any,
) -> Picture:
    """How many jobs were due and waited, at most, in each period, and how long the oldest of them had waited.

    A job waits from when it is due to when it is claimed. Of a queue, what waits now is counted as well; of a frame, only
    what was claimed in the end. A job that was cancelled before anybody claimed it has left no trace here.
    """
    asked = read_asked(source, range, since, until, timezone)
    frame = load(source, asked, ("created_at", "due_at", "claimed_at", "finished_at", "job"), filters)
    starts, ends, odd = waiting_times(source, frame, filters)
    asked = asked.settled(starts, isinstance(source, pd.DataFrame))
    step, edges = asked.periods(every, MOST, SECOND)
    found = backlog_of(starts, ends, edges)
    told = told_of(asked, edges, found, odd)
    most, oldest = partial(count_scale, int(found.most.max())), partial(span_scale, float(found.oldest.max()), ticks=4)
    chart = Chart(
        title="Backlog",
        told=told,
        axis=time_axis(edges[0], edges[-1], asked),
        panels=(
            Panel(with_zone(f"Most jobs waiting, per {step}", asked), 120, [Area(edges, found.most.tolist(), SERIES[0])], most),
            Panel("Longest wait so far", 64, [Area(edges, found.oldest.tolist(), SERIES[1])], oldest),
        ),
        tips=tips_of(asked, edges, found),
        empty="" if found.most.any() else told,
    )
    table = pd.DataFrame({"start": moments(edges[:-1]), "end": moments(edges[1:]), "most": found.most, "last": found.last})
    return Picture(chart.title, told, table.assign(oldest=durations(found.oldest)), chart)


def told_of(asked: Asked, edges: Sequence[float], found: Backlog, odd: int) -> str:
    if not found.most.any():
        return nothing("jobs waited", asked) + (f".{left_out(odd)}" if odd else "")
    peak, longest, now = int(found.most.argmax()), float(found.oldest.max()), int(found.last[-1])
    return (
        f"At most {count_text(int(found.most[peak]), 'job')} waited at once {when(asked)} "
        f"({period_text(edges[peak], edges[peak + 1], asked.zone)}), the oldest for {span_text(longest)}; "
        f"{f'{now:,} at the end' if now else 'none at the end'}.{left_out(odd)}"
    )


def tips_of(asked: Asked, edges: Sequence[float], found: Backlog) -> list[Tip]:
    tips = []
    for (start, end), most, last, oldest in zip(
        pairwise(edges), found.most.tolist(), found.last.tolist(), found.oldest.tolist(), strict=True
    ):
        if most:
            period = period_text(start, end, asked.zone)
            tips.append(Tip(start, end, f"{period}\nat most {most:,}, {last:,} at the end\nthe oldest {span_text(oldest)}"))
    return tips
