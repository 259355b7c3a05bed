"""Metrics and failures as a person reads them: lines in a terminal, a plain table in a notebook.

A table in a notebook has no colors of its own, so that it can be read in a light and in a dark theme, and no scripts.
Names and messages are strangers' text: nothing in them is obeyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from jobqueue.analytics.measuring import METRIC, counted_in
from jobqueue.inert import inert
from jobqueue.model.times import short
from jobqueue.queue.batch import count_of

if TYPE_CHECKING:
    from jobqueue.analytics.errors import ErrorGroup, Errors
    from jobqueue.analytics.metrics import Metrics, Total

MOST_ROWS = 60
WIDEST = 60
NONE = "-"
Row = Sequence[str]


# Values


def span_text(span: Any) -> str:
    """`12 ms`, `3.2 s`, `12 min`; a dash where it is not known."""
    if span is None or pd.isna(span):
        return NONE
    seconds = (span if isinstance(span, timedelta) else pd.Timedelta(span)).total_seconds()
    return f"{seconds * 1000:.3g} ms" if abs(seconds) < 1 else short(seconds)


def share_text(share: Any) -> str:
    return NONE if share is None or pd.isna(share) else f"{share:.1%}".replace("%", " %")


def number_text(value: Any) -> str:
    return NONE if value is None or pd.isna(value) else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def moment_text(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def name_text(value: Any) -> str:
    """One line of a stranger's text, not too long."""
    if isinstance(value, tuple):
        return ", ".join(map(name_text, value))
    text = NONE if value is None or value is pd.NaT or value != value else inert(str(value)[: WIDEST * 2])
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def spread_text(total: Total, name: str) -> str:
    parts = ("avg", "min", "max", "p50", "p95", "p99")
    return ", ".join(f"{part} {span_text(getattr(total, f'{name}_{part}'))}" for part in parts)


# Metrics


def metrics_head(found: Metrics) -> str:
    what = "jobs" if found.counted == "jobs" else "attempts"
    if found.start is None:
        return f"{found.range}: no attempt has ended"
    start, end = found.start.astimezone(found.zone), found.end.astimezone(found.zone)
    return (
        f"{found.range}: {number_text(found.total.count)} {what} ended, {moment_text(start)} to {moment_text(end)} {found.zone}"
    )


def metrics_facts(total: Total) -> list[tuple[str, str]]:
    """What all of a range comes to, as a word and what it says."""
    aside = f"; {total.cancelled:,} cancelled, not counted" if total.cancelled else ""
    rate = NONE if total.throughput is None else f"{total.throughput:,.4g} an hour"
    facts = [
        ("success", f"{share_text(total.success_rate)} ({total.completed:,} completed, {total.failed:,} failed{aside})"),
        ("throughput", rate),
        ("duration", spread_text(total, "run")),
        ("waiting", spread_text(total, "wait")),
        ("attempts", f"{total.attempts:,}, of them {total.retries:,} retries and {total.crashes:,} crashes"),
    ]
    if total.clock_jumps:
        facts.append(("clock jumps", f"{total.clock_jumps:,} attempts, in no average"))
    return facts + [(name_text(name), number_text(value)) for name, value in sorted(total.metrics.items())]


def metrics_table(found: Metrics) -> tuple[list[str], list[Row]]:
    """The columns of the frame that matter most, as texts."""
    frame = found.frame
    counted = counted_in(frame)
    titles = [", ".join(found.by) or "start", "completed", "failed", "success", "avg", "p95", "wait p95", "retries", "crashes"]
    rows: list[Row] = []
    for label, row in zip(frame.index, frame.to_dict("records"), strict=True):
        numbers = [number_text(row[name]) for name in ("completed", "failed")]
        spans = [span_text(row[name]) for name in ("run_avg", "run_p95", "wait_p95")]
        rest = [number_text(row[name]) for name in ("retries", "crashes", *counted)]
        first = name_text(label) if found.by else moment_text(label)
        rows.append((first, *numbers, share_text(row["success_rate"]), *spans, *rest))
    return [*titles, *(name_text(name.removeprefix(METRIC)) for name in counted)], rows


def metrics_text(found: Metrics) -> str:
    facts = [f"  {word:<11} {said}" for word, said in metrics_facts(found.total)]
    lines = [f"<Metrics {metrics_head(found)}>", *facts]
    if found.by:
        titles, rows = metrics_table(found)
        return "\n".join([*lines, "", *columns_of(titles, rows)])
    return "\n".join([*lines, f"  .frame has {len(found.frame):,} periods of {short(found.every)}"])


def metrics_html(found: Metrics) -> str:
    facts = html_table([], metrics_facts(found.total), metrics_head(found))
    titles, rows = metrics_table(found)
    earlier = 0 if found.by else max(0, len(rows) - MOST_ROWS)  # of many periods the last are worth the most
    return facts + html_table(titles, rows[earlier:], f"the last {MOST_ROWS} of {len(rows):,} periods" if earlier else "")


# Failures


ERROR_TITLES = ["", "count", "jobs", "last seen", "first seen", "types", "error", "place", "versions", "example"]


def error_row(number: int, group: ErrorGroup) -> Row:
    return (
        str(number),
        f"{group.count:,}",
        f"{len(group.jobs):,}",
        moment_text(group.last_seen),
        moment_text(group.first_seen),
        name_text(", ".join(group.types)),
        name_text(group.cause),
        name_text(group.place),
        name_text(", ".join(group.versions)),
        inert(group.example),
    )


def errors_head(found: Errors) -> str:
    count = sum(group.count for group in found)
    return f"{count:,} failure{'' if count == 1 else 's'} in {len(found):,} group{'' if len(found) == 1 else 's'}"


def errors_text(found: Errors) -> str:
    if not len(found):
        return "<Errors: none>"
    rows = [error_row(number, group) for number, group in enumerate(found)]
    return "\n".join([f"<Errors: {errors_head(found)}>", *columns_of(ERROR_TITLES, rows)])


def errors_html(found: Errors) -> str:
    return html_table(ERROR_TITLES, [error_row(number, group) for number, group in enumerate(found)], errors_head(found))


def group_text(group: ErrorGroup) -> str:
    """Everything about a group, with the traceback of its example where the job still has it."""
    facts = {
        "seen": f"{count_of(group.count, 'time')} in {count_of(len(group.jobs), 'job')}, "
        f"{group.first_seen:%Y-%m-%d %H:%M:%S} to {group.last_seen:%Y-%m-%d %H:%M:%S} UTC",
        "place": name_text(group.place),
        "types": ", ".join(map(inert, group.types)) or NONE,
        "versions": ", ".join(map(inert, group.versions)) or NONE,
        "workers": ", ".join(map(inert, group.workers)) or NONE,
        "example": inert(group.example),
    }
    lines = [inert(group.cause), *(f"  {word:<9} {said}" for word, said in facts.items())]
    body = group.traceback or group.sample
    return "\n".join([*lines, "", *(f"  {inert(line)}" for line in body.rstrip().splitlines())])


# Tables


def columns_of(titles: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Lines of a table, the last rows left out where there are many."""
    shown = [titles, *rows[:MOST_ROWS]]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    return [f"  {line}" for line in lines] + left_out(len(rows))


def left_out(count: int) -> list[str]:
    return [f"  and {count - MOST_ROWS:,} more in .frame"] if count > MOST_ROWS else []


def html_table(titles: Sequence[str], rows: Iterable[Row], caption: str = "") -> str:
    rows = list(rows)
    parts = ['<table style="border-collapse: collapse">']
    if caption:
        parts.append(f'<caption style="text-align: left; caption-side: top">{escape(caption)}</caption>')
    if titles:
        parts.append("<thead><tr>" + "".join(cell("th", title) for title in titles) + "</tr></thead>")
    body = ("<tr>" + "".join(cell("td", text) for text in row) + "</tr>" for row in rows[:MOST_ROWS])
    parts += ["<tbody>", *body, "</tbody></table>"]
    return "".join([*parts, *(f"<p>{escape(line.strip())}</p>" for line in left_out(len(rows)))])


def cell(tag: str, text: str) -> str:
    return f'<{tag} style="text-align: left; padding: 0.1em 0.8em 0.1em 0">{escape(text)}</{tag}>'
