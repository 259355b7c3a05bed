"""What Prometheus scrapes, read by the parser of its own library."""

from __future__ import annotations

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from jobqueue import JobContext, Queue, Worker, analytics, handler
from jobqueue.analytics.prometheus import BUCKETS, counters
from jobqueue.analytics.schema import ATTEMPTS
from jobqueue.inert import inert

warnings.simplefilter("ignore")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Each series once; the library's parser refuses what is not well-formed."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


@handler
def scan(n: int, ctx: JobContext) -> None:
    ctx.metric("tokens", 10)
    ctx.metric("debt", -1)
    if n == 0:
        raise ValueError("no")


def test_a_queue(tmp_path: Path) -> None:
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        for n in range(3):
            queue.enqueue("scan", {"n": n}, max_attempts=1)
        Worker(queue, [scan]).run(drain=True)
        queue.enqueue("other")
        queue.enqueue("other", delay="1h")
        queue.pause("disk full")
        found = samples(analytics.prometheus(queue))
        queue.purge()
        queue.purge(status="failed")
        purged = samples(analytics.prometheus(queue))
    assert [value(found, "jobqueue_jobs", status=word) for word in ("pending", "claimed", "done", "failed")] == [2, 0, 2, 1]
    assert value(found, "jobqueue_jobs_part", part="delayed") == 1
    assert [value(found, f"jobqueue_{word}") for word in ("workers", "slots", "paused", "paused_types")] == [0, 0, 1, 0]
    age = value(found, "jobqueue_oldest_due_job_age_seconds")
    assert age is not None
    assert 0 <= age < 120
    assert value(found, "jobqueue_attempts_total", type="scan", outcome="done") == 2
    assert value(found, "jobqueue_attempts_total", type="scan", outcome="failed") == 1
    assert value(found, "jobqueue_counted_total", type="scan", metric="tokens") == 30
    assert value(found, "jobqueue_counted_total", type="scan", metric="debt") is None  # a counter cannot go down
    for name in ("run", "wait"):
        assert value(found, f"jobqueue_{name}_seconds_count", type="scan") == 3
        assert value(found, f"jobqueue_{name}_seconds_bucket", type="scan", le="+Inf") == 3
    journal = {
        key: number for key, number in found.items() if key[0].startswith(("jobqueue_attempts", "jobqueue_run", "jobqueue_co"))
    }
    assert journal == {key: purged[key] for key in journal}
    assert value(purged, "jobqueue_jobs", status="done") == 0


def test_an_empty_queue(tmp_path: Path) -> None:
    with Queue(tmp_path / "q") as queue:
        found = samples(analytics.prometheus(queue))
    assert value(found, "jobqueue_jobs", status="pending") == 0
    assert not any(name.startswith("jobqueue_attempts") for name, _ in found)


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [{"clock_jump": False, "attempt": 1, **row} for row in rows]
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=kind) for name, kind in ATTEMPTS.items()})
    return frame.assign(**{"metrics.tokens": pd.Series([row.get("tokens") for row in rows], dtype="float64")})


def scraped(rows: list[dict[str, Any]], types: int = 100, metrics: int = 50, **more: Any) -> Samples:
    """What counters make of these attempts, as text and back."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Numbers:
        def collect(self) -> Any:
            return counters(frame_of(rows).assign(**more), types, metrics)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Numbers())  # type: ignore[arg-type]
    return samples(generate_latest(registry).decode())


def test_a_histogram_by_hand() -> None:
    spans = [0.005, 0.006, 1.0, 100_000.0]
    rows = [{"type": "a", "outcome": "done", "run": timedelta(seconds=span), "wait": timedelta(0)} for span in spans]
    rows += [
        {"type": "a", "outcome": "done", "run": timedelta(seconds=-1), "clock_jump": True},
        {"type": "a", "outcome": "crashed", "run": timedelta(seconds=3)},
        {"type": "a", "outcome": "done"},
    ]
    found = scraped(rows)
    buckets = {bound: value(found, "jobqueue_run_seconds_bucket", type="a", le=str(bound)) for bound in BUCKETS}
    # at most 5 ms: one, the bound itself is in; at most 10 ms: two; from 1 s on: three; beyond the last bound: four
    assert buckets == {bound: 1 if bound == 0.005 else 2 if bound < 1 else 3 for bound in BUCKETS}
    assert value(found, "jobqueue_run_seconds_bucket", type="a", le="+Inf") == 4
    assert value(found, "jobqueue_run_seconds_sum", type="a") == pytest.approx(100_001.011)
    assert value(found, "jobqueue_attempts_total", type="a", outcome="done") == 6


def test_types_beyond_the_limit_are_one() -> None:
    rows = [{"type": f"t{n}", "outcome": "done", "run": timedelta(seconds=1), "tokens": 1} for n in (3, 1, 2, 0, 1)]
    found = scraped(rows, types=2)
    assert value(found, "jobqueue_attempts_total", type="t3", outcome="done") == 1  # those that were seen first stay
    assert value(found, "jobqueue_attempts_total", type="t1", outcome="done") == 2
    assert value(found, "jobqueue_attempts_total", type="other", outcome="done") == 2
    assert {dict(labels).get("type") for _, labels in found} == {"t3", "t1", "other"}
    assert value(found, "jobqueue_counted_total", type="other", metric="tokens") == 2


def test_metrics_beyond_the_limit_are_one() -> None:
    rows = [{"type": "a", "outcome": "done"}]
    found = scraped(rows, metrics=2, **{f"metrics.m{n}": 1.0 for n in range(5)})
    assert {dict(labels)["metric"] for name, labels in found if name == "jobqueue_counted_total"} == {"m0", "m1", "other"}
    assert value(found, "jobqueue_counted_total", type="a", metric="other") == 3


TEXT = st.text(max_size=20) | st.text('\\"\n{},= \x00\x1b\udce9', max_size=8) | st.just("x" * 500) | st.just("other")


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, max_size=12), st.integers(1, 5))
def test_any_name_of_a_type_is_a_label(names: list[str], most: int) -> None:
    rows = [{"type": name.encode("utf-8", "backslashreplace").decode(), "outcome": "done"} for name in names]
    found = scraped(rows, types=most)
    labels = {dict(labels)["type"] for _, labels in found}
    assert len(labels) <= most + 1
    assert all(len(label) < 1000 and inert(label) == label for label in labels)
    assert sum(number for (name, _), number in found.items() if name == "jobqueue_attempts_total") == len(names)
