"""The numbers of a queue in the text that Prometheus scrapes.

Gauges are what is there now; counters and histograms are of all attempts that the journal knows. Types and metrics are
strangers' words: at most so many have a series of their own (those that were seen first, so that a series never changes its
name), the rest together are `other`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from jobqueue.analytics.frames import attempts
from jobqueue.analytics.measuring import METRIC, Floats, Ints, counted_in, outcomes, span
from jobqueue.errors import Unsupported
from jobqueue.inert import inert
from jobqueue.queue.queue import Queue

OTHER = "other"
OUTCOMES = ("done", "failed", "crashed", "cancelled", "snoozed", "released")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Seconds: jobs last from milliseconds to hours."""
LONGEST = 120


def prometheus(queue: Queue, *, types: int = 100, metrics: int = 50) -> str:
    """The text for a scrape: `jobqueue_jobs{status="pending"} 3` and so on, with series for at most so many types and metrics.

    Counters begin with the oldest attempt that the journal still has: where its old days are let go they fall, which
    Prometheus takes for a restart. Raises `Unsupported` where prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError:
        raise Unsupported("prometheus: needs prometheus-client; run: pip install 'jobqueue[analytics]'") from None
    families = [*gauges(queue), *counters(attempts(queue), types, metrics)]

    class Numbers:
        def collect(self) -> Iterator[Any]:
            return iter(families)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Numbers())
    return generate_latest(registry).decode()


def gauges(queue: Queue) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    stats = queue.stats()
    jobs = GaugeMetricFamily("jobqueue_jobs", "Jobs by status.", labels=["status"])
    for status in ("pending", "claimed", "done", "failed"):
        jobs.add_metric([status], getattr(stats, status))
    yield jobs
    parts = GaugeMetricFamily(
        "jobqueue_jobs_part", "Jobs inside a status: delayed, retrying; cancelled, rejected.", labels=["part"]
    )
    for part in ("delayed", "retrying", "cancelled", "rejected"):
        parts.add_metric([part], getattr(stats, part))
    yield parts
    age = "How long the oldest due job has waited; 0 where none is due."
    yield GaugeMetricFamily("jobqueue_oldest_due_job_age_seconds", age, stats.oldest_age or 0.0)
    yield GaugeMetricFamily("jobqueue_workers", "Live workers.", stats.workers.count)
    yield GaugeMetricFamily("jobqueue_slots", "Jobs that the live workers can run at a time.", stats.workers.max_concurrency)
    yield GaugeMetricFamily("jobqueue_paused", "1 where the whole queue is paused.", float(stats.paused is not None))
    yield GaugeMetricFamily("jobqueue_paused_types", "Types that are paused.", len(queue.control().paused_types))


def counters(frame: pd.DataFrame, most_types: int, most_metrics: int) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily

    groups, names = labelled(frame["type"], most_types)
    is_ = outcomes(frame)
    counter = CounterMetricFamily("jobqueue_attempts", "Finished attempts.", labels=["type", "outcome"])
    for outcome in OUTCOMES:
        found = np.bincount(groups[is_(outcome)], minlength=len(names))
        for name, count in zip(names, found, strict=True):
            if count:
                counter.add_metric([name, outcome], int(count))
    yield counter
    steady = ~frame["clock_jump"].to_numpy(dtype=bool)
    run = span(frame["run"], steady & is_("done", "failed"))
    wait = span(frame["wait"], steady & is_("done", "failed", "crashed", "cancelled"))
    yield histogram("jobqueue_run_seconds", "How long attempts ran that were done or failed.", run, groups, names)
    yield histogram("jobqueue_wait_seconds", "How long jobs waited from when they were due.", wait, groups, names)
    yield sums(frame, groups, names, most_metrics)


def labelled(column: pd.Series, most: int) -> tuple[Ints, list[str]]:
    """Of each row the number of its label, and the labels: the values seen first, then `other`. Two values that are shown
    alike are one label."""
    codes, values = pd.factorize(column)
    labels: dict[str, int] = {}
    places = np.empty(len(values) + 1, dtype=np.int64)
    for place, value in enumerate(values):
        label = shown(str(value))
        places[place] = labels.setdefault(label if label in labels or len(labels) < most else OTHER, len(labels))
    places[-1] = labels.setdefault(OTHER, len(labels)) if (codes < 0).any() else 0
    return places[codes], list(labels)


def shown(name: str) -> str:
    text = inert(name[:LONGEST])
    return text if len(name) <= LONGEST else text + "…"


def histogram(name: str, help: str, values: Floats, groups: Ints, names: list[str]) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    known = ~np.isnan(values)
    seconds, groups = values[known] / 1e6, groups[known]
    places = np.searchsorted(BUCKETS, seconds, "left")  # a bucket holds what is at most its bound
    width = len(BUCKETS) + 1
    table = np.bincount(groups * width + places, minlength=len(names) * width).reshape(len(names), width).cumsum(axis=1)
    totals = np.bincount(groups, weights=seconds, minlength=len(names))
    bounds = [*map(str, BUCKETS), "+Inf"]
    family = HistogramMetricFamily(name, help, labels=["type"])
    for label, row, total in zip(names, table, totals, strict=True):
        if row[-1]:
            family.add_metric([label], [(bound, float(count)) for bound, count in zip(bounds, row, strict=True)], float(total))
    return family


def sums(frame: pd.DataFrame, groups: Ints, names: list[str], most: int) -> Any:
    """What handlers counted. A counter cannot go down: what is below zero is not added."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily("jobqueue_counted", "What handlers counted with ctx.metric.", labels=["type", "metric"])
    totals: dict[tuple[str, str], float] = {}
    columns = counted_in(frame)
    first = {name: place for name in columns if (place := frame[name].first_valid_index()) is not None}
    for number, column in enumerate(sorted(first, key=lambda name: (frame.index.get_loc(first[name]), name))):
        metric = shown(column.removeprefix(METRIC)) if number < most else OTHER
        values = frame[column].to_numpy(dtype=float)
        good = np.isfinite(values) & (values >= 0)
        found = np.bincount(groups[good], weights=values[good], minlength=len(names))
        for place in np.unique(groups[good]):
            key = (names[place], metric)
            totals[key] = totals.get(key, 0.0) + float(found[place])
    for (name, metric), total in totals.items():
        family.add_metric([name, metric], total)
    return family
