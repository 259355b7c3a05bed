"""Which worker ran what, and when: a row for each place in which a worker ran jobs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.analytics.pictures.asked import Asked, Floats, Since, Source, instants, jumped, load, read_asked
from jobqueue.analytics.pictures.calendar import moment_text
from jobqueue.analytics.pictures.chart import Chart, Panel
from jobqueue.analytics.pictures.history import grouped, slots
from jobqueue.analytics.pictures.picture import Picture, small
from jobqueue.analytics.pictures.scales import count_text, span_text
from jobqueue.analytics.pictures.svg import OUTCOMES, Span, Spans, cut
from jobqueue.analytics.pictures.wording import MOST, NAME, left_out, nothing, time_axis, when, with_zone
from jobqueue.model.times import Duration

NEEDED = ("job", "type", "attempt", "outcome", "worker", "claimed_at", "finished_at")
MOST_ROWS = 24
ROW = 18
LEAST = 0.01
"""Seconds."""


def timeline(
    source: Source,
    range: Duration | None = None,
    *,
    since: Since = None,
    until: Since = None,
    timezone: Any = None,
    **filters: Any,
) -> Picture:
    """Each attempt from its claim to its end, in the row of its worker; the last 96 of them where there are more.

    A worker that runs several jobs at once has as many rows. An attempt that crashed ends when somebody found out.
    """
    asked = read_asked(source, range, since, until, timezone)
    frame = load(source, asked, NEEDED, filters)
    ends = instants(frame["finished_at"], "finished_at")
    asked = asked.settled(ends, isinstance(source, pd.DataFrame))
    starts = instants(frame["claimed_at"], "claimed_at")
    inside = asked.holds(ends)
    odd = inside & (jumped(frame) | (starts > ends))
    known = np.flatnonzero(inside & ~odd & np.isfinite(starts))
    last = known[np.argsort(ends[known], kind="stable")]

    def make(most: int) -> Picture:
        kept = last[-most:]
        return picture_of(asked, frame.iloc[kept], starts[kept], ends[kept], len(known), int(odd.sum()))

    return small(make, MOST)


def picture_of(asked: Asked, shown: pd.DataFrame, starts: Floats, ends: Floats, known: int, odd: int) -> Picture:
    rows, names, fit = rows_of(shown["worker"], starts, ends)
    told = told_of(asked, int(fit.sum()), known, sum(map(bool, names)), odd)
    chart = chart_of(told, asked, spans_of(shown, rows, starts, ends, fit, asked), names, starts[fit], ends[fit])
    table = shown.loc[fit, list(NEEDED)].assign(row=rows[fit]).reset_index(drop=True)
    return Picture(chart.title, told, table, chart)


def rows_of(workers: pd.Series, starts: Any, ends: Any) -> tuple[Any, list[str], Any]:
    """The row of each attempt, the name at each row, and which attempts have one: there are at most 24."""
    names = [str(name) for name in workers.astype("object").where(workers.notna(), "unknown")]
    order = {name: number for number, name in enumerate(sorted(set(names)))}
    number = np.array([order[name] for name in names], dtype=np.int64)
    slot = slots(starts, ends, number)
    places = list(zip(number.tolist(), slot.tolist(), strict=True))
    latest = list(dict.fromkeys(reversed(places)))[:MOST_ROWS]
    rows = {place: row for row, place in enumerate(sorted(latest))}
    words = sorted(order, key=order.__getitem__)
    labels = [words[worker] if slot == 0 or (worker, slot - 1) not in rows else "" for worker, slot in sorted(latest)]
    found = np.array([rows.get(place, -1) for place in places], dtype=np.int64)
    return found, labels, found >= 0


def spans_of(shown: pd.DataFrame, rows: Any, starts: Any, ends: Any, fit: Any, asked: Asked) -> list[Span]:
    outcomes = grouped(shown["outcome"], "outcome")
    spans = []
    for index in np.flatnonzero(fit):
        row, start, end = shown.iloc[index], float(starts[index]), float(ends[index])
        again = f", attempt {row['attempt']}" if row["attempt"] != 1 else ""
        tip = (
            f"{cut(str(row['type']), NAME)}{again}: {cut(str(row['outcome']), NAME)} after {span_text(end - start)}\n"
            f"{moment_text(start, asked.zone, exact=True)}\n{cut(str(row['job']), 2 * NAME)}"
        )
        spans.append(Span(int(rows[index]), start, end, OUTCOMES[outcomes.names[outcomes.places[index]]], tip))
    return spans


def told_of(asked: Asked, shown: int, known: int, workers: int, odd: int) -> str:
    if not known:
        return nothing("attempts", asked) + (f".{left_out(odd)}" if odd else "")
    which = count_text(known, "attempt") if shown == known else f"The last {shown:,} of {known:,} attempts"
    return f"{which} {when(asked)}, on {count_text(workers, 'worker')}.{left_out(odd)}"


def chart_of(told: str, asked: Asked, spans: Sequence[Span], names: list[str], starts: Any, ends: Any) -> Chart:
    """From the first claim to the last end: of a day, what was a minute fills the picture."""
    low = float(starts.min()) if len(starts) else (asked.end if asked.start is None else asked.start)
    high = max(float(ends.max()) if len(ends) else asked.end, low + LEAST)
    used = {span.look for span in spans}
    return Chart(
        title="Timeline",
        told=told,
        axis=time_axis(low, high, asked),
        panels=[Panel(with_zone("Workers", asked), ROW * max(len(names), 4 if not spans else 1), [Spans(spans)], rows=names)],
        legend=[(name, look) for name, look in OUTCOMES.items() if look in used],
        empty="" if spans else told,
    )
