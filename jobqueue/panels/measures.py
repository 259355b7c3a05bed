"""Metrics with pictures, over a range that is chosen by a click: read from the journal, so that purging changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobqueue.analytics import pictures
from jobqueue.analytics.frames import attempts
from jobqueue.analytics.metrics import Metrics
from jobqueue.analytics.metrics import metrics as measure
from jobqueue.model.status import Status
from jobqueue.model.times import short
from jobqueue.panels.acting import Acting
from jobqueue.panels.html import GAP, joined, tag, text
from jobqueue.panels.pace import Pace
from jobqueue.panels.panel import Told
from jobqueue.panels.plain import plain
from jobqueue.panels.static import image
from jobqueue.queue.queue import Queue

RANGES = ("24h", "7d", "30d", "all")
MOST_TYPES = 12
MOST_OPENED = 2_000
"""Pending jobs whose files are read for a picture."""


@dataclass(frozen=True)
class Figures:
    """What one range came to. `pictures` are pictures and their SVG texts, `types` one row for each type."""

    range: str
    total: Mapping[str, Any]
    types: Sequence[Mapping[str, Any]]
    pictures: Sequence[tuple[pictures.Picture, str]]

    @property
    def empty(self) -> bool:
        return not self.total["attempts"]


class Measured:
    """Figures that are made anew when the journal has grown, and not more often than is of use."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.range = RANGES[0]
        self.found: Figures | None = None
        self.pace = Pace()
        self.mark: tuple[str, int] = ("", -1)

    def look(self, pending: int) -> Figures:
        """Of another range at once; else when something has ended since, at a pace that the queue's size allows."""
        changed = self.found is None or self.range != self.found.range
        if changed or self.pace.is_time():
            began = time.monotonic()
            mark = (self.range, len(attempts(self.queue)))
            if changed or mark != self.mark or self.pace.is_old():
                with self.pace:
                    self.found, self.mark = figures(self.queue, self.range, pending), mark
            else:
                self.pace.held(time.monotonic() - began)
        assert self.found is not None
        return self.found


def figures(queue: Queue, range: str, pending: int) -> Figures:
    found = measure(queue, range, by="type")
    return Figures(range, row(found), types(found), drawn(queue, range, pending))


def row(found: Metrics) -> dict[str, Any]:
    total = found.total
    names = ("completed", "failed", "success_rate", "throughput", "attempts", "run_p50", "run_p95", "wait_p50", "wait_p95")
    return {name: getattr(total, name) for name in names} | {"tokens": found.tokens}


def types(found: Metrics) -> list[dict[str, Any]]:
    frame = found.groups.reset_index().sort_values("attempts", ascending=False).head(MOST_TYPES)
    names = ("type", "completed", "failed", "success_rate", "run_p50", "run_p95")
    return [{name: line[name] for name in names} for line in frame.to_dict("records")]


def drawn(queue: Queue, range: str, pending: int) -> list[tuple[pictures.Picture, str]]:
    """How many waited is told by the files of those that wait still, so a long queue goes without that picture."""
    backlog = (pictures.backlog,) if pending <= MOST_OPENED else ()
    draw = (pictures.throughput, *backlog, pictures.run_time, pictures.wait_time)
    made = [picture(queue, range) for picture in draw]
    return [(picture, picture.draw(560)) for picture in made]


# -- as HTML


def shown(found: Figures | None, title: str = "Metrics") -> str:
    if found is None:
        return ""
    chosen = joined(choice(range, range == found.range) for range in RANGES)
    head = f'<header><h3>{title}</h3>{GAP}<div class="jq-choice" role="group" aria-label="Range">{chosen}</div></header>'
    if found.empty:
        return f'<section class="jq-section jq-metrics">{head}<p class="jq-empty">Nothing has run in this range.</p></section>'
    numbers = f'<dl class="jq-numbers">{joined(number(*one) for one in numbers_of(found.total))}</dl>'
    charts = joined(tag("figure", svg, class_="jq-chart") for _, svg in found.pictures)
    table = type_table(found.types) if len(found.types) > 1 else ""
    return f'<section class="jq-section jq-metrics">{head}{numbers}<div class="jq-charts">{charts}</div>{table}</section>'


def choice(range: str, chosen: bool) -> str:
    words = "all time" if range == "all" else f"the last {range}"
    return tag("button", range, type="button", data_do="range", data_value=range, aria_pressed=str(chosen).lower(), title=words)


def number(label: str, value: str, hint: str) -> str:
    return f"<div{' title=' + chr(34) + text(hint) + chr(34)}><dt>{text(label)}</dt><dd>{text(value)}</dd></div>"


def numbers_of(total: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = [
        (
            "Success",
            percent(total["success_rate"]),
            "completed of all that completed or failed; cancelled ones are not counted",
        ),
        ("Completed", f"{total['completed']:,}", "jobs that were done"),
        ("Failed", f"{total['failed']:,}", "jobs that failed for good"),
        ("Per hour", rate(total["throughput"]), "jobs that ended in an hour"),
        ("Run p50", span(total["run_p50"]), "half of all attempts ran no longer than this"),
        ("Run p95", span(total["run_p95"]), "95 of 100 attempts ran no longer than this"),
        ("Wait p95", span(total["wait_p95"]), "95 of 100 attempts waited no longer than this"),
    ]
    tokens = total.get("tokens")
    return [*found, ("Tokens", f"{tokens:,.0f}", "summed over all attempts")] if tokens else found


def percent(share: Any) -> str:
    return "–" if missing(share) else f"{share * 100:.3g} %"


def rate(value: Any) -> str:
    return "–" if missing(value) else f"{value:,.{2 if value < 1 else 3}g}" if value < 1000 else f"{value:,.0f}"


def span(value: Any) -> str:
    return "–" if missing(value) else short(value.total_seconds() if hasattr(value, "total_seconds") else float(value))


def missing(value: Any) -> bool:
    return value is None or value != value


def type_table(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = joined(f'<th scope="col">{word}</th>' for word in ("Type", "Completed", "Failed", "Success", "Run p50", "Run p95"))
    lines = joined(
        f'<tr><th scope="row">{text(one["type"])}</th><td>{one["completed"]:,}</td><td>{one["failed"]:,}</td>'
        f"<td>{percent(one['success_rate'])}</td><td>{span(one['run_p50'])}</td><td>{span(one['run_p95'])}</td></tr>"
        for one in rows
    )
    return f'<table class="jq-types"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'


# -- alone


def still(found: Figures | None) -> str:
    """The same where nothing runs."""
    if found is None:
        return ""
    return plain([shown(found)]) + joined(image(picture.caption, picture.image) for picture, _ in found.pictures)


class MetricsPanel(Acting):
    name: ClassVar[str] = "metrics"
    parts: ClassVar[tuple[str, ...]] = ("problem", "metrics", "drawer", "status")

    def __init__(self, queue: Queue, range: str = "24h", **options: Any) -> None:
        self.measured = Measured(queue)
        self.measured.range = range
        super().__init__(queue, **options)

    def read(self) -> Figures:
        return self.measured.look(self.queue.store.counts()[Status.PENDING])

    def texts(self, state: Figures | None, told: Told) -> Mapping[str, str]:
        return {"metrics": shown(state)}

    def still(self) -> str:
        return plain([self.view.problem]) + still(self.state)

    def do_range(self, value: str = "24h") -> None:
        self.measured.range = value if value in RANGES else RANGES[0]


def metrics(queue: Queue, range: str = "24h", *, every: float | None = 2.0) -> MetricsPanel:
    """How well it runs, with pictures, over 24h, 7d, 30d or all."""
    return MetricsPanel(queue, range, every=every)
