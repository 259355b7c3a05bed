"""The frames of a real queue: right columns, right rows, also where there is nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from jobqueue import JobContext, Queue, Worker, analytics, handler
from jobqueue.analytics.schema import ATTEMPTS, EVENTS, ITEMS, JOBS

warnings.simplefilter("ignore")


@handler(subject="repo", pipeline_version="scan-1")
def scan(repo: str, ctx: JobContext) -> int:
    ctx.metric("tokens", 10)
    return sum(1 for _ in ctx.track(["a", "b"], key=str))


@handler
def fails(n: int) -> None:
    raise ValueError(f"row {n}")


@pytest.fixture(params=["folder", "memory"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    made = Queue(":memory:" if request.param == "memory" else tmp_path / "q", durability="relaxed")
    yield made
    made.store.close()


def run(queue: Queue) -> None:
    queue.enqueue("scan", {"repo": "octo/cat"}, project="p1")
    queue.enqueue("fails", {"n": 7}, max_attempts=1)
    Worker(queue, [scan, fails]).run(drain=True)


def test_attempts(queue: Queue) -> None:
    run(queue)
    frame = analytics.attempts(queue)
    assert list(frame["type"]) == ["scan", "fails"]
    good, bad = frame.to_dict("records")
    assert (good["outcome"], good["subject"], good["version"], good["project"]) == ("done", "octo/cat", "scan-1", "p1")
    assert good["metrics.tokens"] == 10
    assert (bad["outcome"], bad["reason"], bad["error_type"], bad["error"]) == ("failed", "error", "ValueError", "row 7")
    assert bad["version"].startswith("code:")
    assert (frame["wait"] >= pd.Timedelta(0)).all()
    assert (frame["run"] >= pd.Timedelta(0)).all()


def test_items(queue: Queue) -> None:
    run(queue)
    frame = analytics.items(queue)
    assert list(frame["key"]) == ["a", "b"]
    assert set(frame["version"]) == {"scan-1"}


def test_events(queue: Queue) -> None:
    run(queue)
    queue.purge()
    queue.pause("disk full")
    frame = analytics.events(queue)
    assert list(frame["what"]) == ["enqueue", "enqueue", "purge", "pause"]
    assert frame["count"].iloc[2] == 1
    assert frame["reason"].iloc[3] == "disk full"


def test_jobs(queue: Queue) -> None:
    run(queue)
    frame = analytics.jobs(queue)
    assert dict(zip(frame["type"], frame["status"], strict=True)) == {"scan": "done", "fails": "failed"}


@pytest.mark.parametrize(
    ("call", "schema"),
    [(analytics.attempts, ATTEMPTS), (analytics.items, ITEMS), (analytics.events, EVENTS), (analytics.jobs, JOBS)],
)
def test_nothing_has_the_right_columns(queue: Queue, call: object, schema: dict[str, str]) -> None:
    frame = call(queue)  # type: ignore[operator]
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == schema
