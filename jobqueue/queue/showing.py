"""How things show themselves in a notebook: live where a kernel with widgets runs, else as a plain table, else as a line.

The door up to the panels, opened only where widgets can be shown. A saved notebook that nobody trusts loses style sheets and
SVG, so the table is plain HTML. Nothing here raises: what fails is shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from html import escape
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobqueue.errors import Unsupported
from jobqueue.inert import inert, inert_lines, inert_logger

if TYPE_CHECKING:
    from jobqueue.queue.batch import Batch
    from jobqueue.queue.handle import JobHandle
    from jobqueue.queue.queue import Queue

log = inert_logger("jobqueue")
MOST_ROWS = 20
LONGEST = 200
COLUMNS = ("Job", "Type", "Status", "Attempts", "Error")
Rows = Iterable[tuple[object, ...]]


def mimebundle(thing: Any, include: Any = None, exclude: Any = None) -> dict[str, Any]:
    """The body of every `_repr_mimebundle_`: the line, the table, and the live panel where there can be one."""
    bundle: dict[str, Any] = {"text/plain": safely(repr, thing), "text/html": safely(still, thing, in_html=True)}
    if not has_widgets():
        return bundle
    try:
        from jobqueue.panels.live import live_view

        shown = live_view(thing)
        return bundle if shown is None else shown._repr_mimebundle_() | {"text/plain": bundle["text/plain"]}
    except Exception as error:
        log.warning("no live panel: %s: %s", type(error).__name__, error)
        bundle["text/html"] += f"<p><small>{words(f'no live panel: {type(error).__name__}: {error}')}</small></p>"
        return bundle


def has_widgets() -> bool:
    """Whether this is a notebook's kernel, and the panels can be imported."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None and all(map(find_spec, ("ipywidgets", "anywidget", "pandas")))


def safely(show: Callable[[Any], str], thing: Any, in_html: bool = False) -> str:
    try:
        return show(thing)
    except Exception as error:
        said = inert(f"<{type(thing).__name__}: cannot be shown: {type(error).__name__}: {error}>")
        return f"<p>{escape(said)}</p>" if in_html else said


def line_of_queue(queue: Queue) -> str:
    """The body of `Queue.__repr__`."""
    counts = ", ".join(f"{number} {status}" for status, number in queue.store.counts().items())
    return inert(f"<Queue {queue.store.url}: {counts}>")


def snapshot(queue: Queue, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Writes the dashboard as one HTML page that needs no kernel, no script and no net, light and dark; private to its owner.

    Needs `jobqueue[notebook]`. Raises `FileExistsError` rather than write over a file, unless told to.
    """
    try:
        from jobqueue.panels.report import snapshot
    except ModuleNotFoundError as error:
        raise Unsupported(f"a snapshot needs {error.name}: pip install 'jobqueue[notebook]'") from error
    return snapshot(queue, path, overwrite)


# -- plain HTML


def still(thing: Any) -> str:
    for kind in type(thing).__mro__:
        if (show := STILL.get(kind.__name__)) is not None:
            return show(thing)
    return f"<p>{words(repr(thing))}</p>"


def still_queue(queue: Queue) -> str:
    counts = {status.value: number for status, number in queue.store.counts().items()}
    numbers = table(counts, [tuple(f"{number:,}" for number in counts.values())])
    return f"<p><b>Queue</b> <code>{words(queue.store.url)}</code></p>{numbers}"


def still_stats(stats: Any) -> str:
    names = ("pending", "claimed", "done", "failed", "total")
    numbers = table(names, [tuple(f"{getattr(stats, name):,}" for name in names)])
    parts = (f"{getattr(stats, name):,} {name}" for name in ("delayed", "retrying", "cancelled", "rejected"))
    notes = [part for part in parts if not part.startswith("0 ")] + ([stats.paused] if stats.paused else [])
    return numbers + (f"<p><small>{words('; '.join(notes))}</small></p>" if notes else "")


def still_job(job: JobHandle[Any]) -> str:
    record, why = job.record, safely(lambda one: str(one.why()), job)
    told = [*zip(COLUMNS, row_of(job), strict=True), ("Payload", record.payload), ("Result", record.result), ("Why", why)]
    lines = "".join(f"<tr><th>{name}</th><td>{words(value)}</td></tr>" for name, value in told if value not in ("", None))
    trace = "" if job.error is None or not job.error.traceback else escape(inert_lines(job.error.traceback))
    folded = f"<details><summary>Traceback</summary><pre>{trace}</pre></details>" if trace else ""
    return f"<table><tbody>{lines}</tbody></table>{folded}"


def still_batch(batch: Batch[Any]) -> str:
    seen = batch.progress
    bar = f'<progress max="100" value="{seen.percent:.1f}">{seen.percent:.0f} %</progress>'
    return f"<p>{words(repr(batch)[1:-1])}</p><p>{bar}</p>"


def still_page(page: Any) -> str:
    rows = [row_of(job) for job in islice(page, MOST_ROWS)]
    shown = f"{len(rows):,} of {page.total:,} jobs" if len(rows) < page.total else ""
    return table(COLUMNS, rows) + (f"<p><small>{shown}</small></p>" if shown else "")


def still_workers(workers: Any) -> str:
    return table(("Worker", "Host", "Pid", "Serves", "Slots", "Started"), map(worker_row, workers))


def worker_row(worker: Any) -> tuple[object, ...]:
    serves = "every type" if worker.types is None else ", ".join(worker.types)
    started = f"{worker.started_at:%Y-%m-%d %H:%M:%S} UTC"
    return worker.owner, worker.host, worker.pid, serves, worker.concurrency, started


def still_health(health: Any) -> str:
    counts = {name: f"{getattr(health.stats, name):,}" for name in health.stats.__struct_fields__}
    numbers = table([*counts, "workers"], [(*counts.values(), health.workers)])
    reasons = "".join(f"<li>{escape(inert(reason))}</li>" for reason in health.reasons)
    return f"<p><b>{words(health.status)}</b></p>{f'<ul>{reasons}</ul>' if reasons else ''}{numbers}"


def still_findings(findings: Any) -> str:
    """In full: a fix that is cut is none."""
    lines = ((one.level, one.what, one.found, one.fix) for one in findings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in line)}</tr>" for line in lines)
    head = "<tr><th>Level</th><th>What</th><th>Found</th><th>Fix</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


STILL: dict[str, Callable[[Any], str]] = {
    "Queue": still_queue,
    "Stats": still_stats,
    "JobHandle": still_job,
    "Batch": still_batch,
    "JobPage": still_page,
    "WorkerHandle": lambda worker: still_workers([worker]),
    "Workers": still_workers,
    "Coverage": lambda coverage: str(coverage._repr_html_()),
    "Health": still_health,
    "Findings": still_findings,
}
"""By the name of the class: this module is imported by all of them."""


def row_of(job: JobHandle[Any]) -> tuple[object, ...]:
    record, error = job.record, job.error
    problem = "" if error is None else f"{error.type or error.reason}: {error.message}"
    status = safely(lambda one: str(one.status.value), job)
    return record.title if record.name is None else record.name, record.type, status, record.attempts, problem


def table(heads: Iterable[str], rows: Rows) -> str:
    head = "".join(f"<th>{words(name)}</th>" for name in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{words(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def words(value: object) -> str:
    """One line of strangers' text, cut where it is long."""
    said = inert(str(value))
    return escape(said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…")
