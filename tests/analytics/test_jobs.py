"""The frame of the jobs: what the files say, without opening those of finished jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobqueue import JobContext, Queue, Worker, analytics, handler
from jobqueue.analytics.schema import JOBS
from jobqueue.errors import InvalidJob

FROM_FILES = ["priority", "tags", "run_after"]
"""What only files tell of some finished jobs."""


@handler(subject="n", pipeline_version="scan-1")
def scan(n: int, ctx: JobContext) -> int:
    ctx.metric("tokens", n)
    return n * 2


@handler
def fails(n: int) -> None:
    raise ValueError(f"row {n}")


@pytest.fixture(params=["folder", "memory"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    with Queue(":memory:" if request.param == "memory" else tmp_path / "q", durability="relaxed") as made:
        yield made


@pytest.fixture
def opened(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs that were opened, one by one."""
    found: list[str] = []
    get = queue.store.get
    monkeypatch.setattr(queue.store, "get", lambda id: (found.append(id), get(id))[1])
    return found


def fill(queue: Queue) -> None:
    """Jobs that ended in each of the ways there are, some that wait, and one that is put off."""
    for n in range(3):
        queue.enqueue("scan", {"n": n}, project="p1", batch="b", name=f"n{n}", tags=["x"], priority="high")
    queue.enqueue("fails", {"n": 7}, max_attempts=1)
    queue.enqueue("fails", {"n": 8}, max_attempts=2, backoff="1h")
    Worker(queue, [scan, fails]).run(drain=True)
    done, *_ = queue.jobs("done")
    queue.retry(done)
    queue.cancel(done)  # its last attempt was done, and it is no more
    queue.cancel(next(job for job in queue.jobs("pending") if job.type == "fails"))
    queue.cancel(queue.enqueue("scan", {"n": 5}))
    queue.enqueue("scan", {"n": 6}, delay="1h", tags=["late"])
    queue.enqueue("scan", {"n": 9}, project="p2")


def plain(queue: Queue, status: Any = None, **filters: Any) -> pd.DataFrame:
    """The same in the plainest way: every file is opened."""
    rows = []
    for handle in queue.jobs(status, limit=None, **filters):
        job, ran, error = handle.located.job, handle.located.job.ran, handle.located.job.error
        rows.append({name: getattr(job, name, None) for name in JOBS} | {"status": handle.located.status.value})
        rows[-1] |= {"subject": ran and ran.subject, "version": (ran and ran.version) or job.pipeline_version}
        rows[-1] |= {"wait": ran and ran.due_at and job.claimed_at and job.claimed_at - ran.due_at}
        rows[-1] |= {"run": (ran and ran.seconds is not None and pd.Timedelta(round(ran.seconds * 1000, 3), "ms")) or None}
        rows[-1] |= {"reason": error and error.reason, "error_type": error and error.type, "error": error and error.message}
    return pd.DataFrame(rows, columns=list(JOBS)).astype(JOBS)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert {name: str(kind) for name, kind in found.dtypes.items()} == JOBS
    categories = [name for name in JOBS if JOBS[name] == "category"]
    both = [frame.drop(columns="tags").astype(dict.fromkeys(categories, "object")) for frame in (found, expected)]
    for frame in both:
        for name in ("wait", "run"):
            frame[name] = frame[name].dt.round("ms")
    pd.testing.assert_frame_equal(*both)


def test_the_frame_says_what_the_files_say(queue: Queue) -> None:
    fill(queue)
    same(analytics.jobs(queue), plain(queue))


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "done"},
        {"status": ["pending", "failed"]},
        {"type": ["fails"]},
        {"type": "scan", "project": "p1"},
        {"batch": "b"},
        {"tag": "x"},
        {"tag": "late"},
        {"text": "ROW 7"},
        {"reason": "cancelled"},
        {"since": "1h"},
        {"until": "1h"},
        {"older_than": "0s"},
        {"project": "nobody"},
    ],
)
def test_filters_are_those_of_the_queue(queue: Queue, filters: dict[str, Any]) -> None:
    fill(queue)
    same(analytics.jobs(queue, **filters), plain(queue, **filters))


def test_subjects(queue: Queue) -> None:
    fill(queue)
    assert set(analytics.jobs(queue, subject=["1", "2"])["subject"]) == {"1", "2"}


def test_finished_jobs_are_not_opened(queue: Queue, opened: list[str]) -> None:
    for n in range(20):
        queue.enqueue("scan", {"n": n}, tags=["x"])
    queue.enqueue("fails", {"n": 1}, max_attempts=1)
    Worker(queue, [scan, fails]).run(drain=True)
    waiting = queue.enqueue("scan", {"n": 50})
    opened.clear()
    frame = analytics.jobs(queue)
    assert (len(frame), opened) == (22, [waiting.id])
    assert frame["status"].value_counts().to_dict() == {"done": 20, "failed": 1, "pending": 1}
    assert frame["tags"].isna().sum() == 21
    analytics.jobs(queue, status="done", project="p1", tag="x")
    assert opened == [waiting.id]
    assert list(analytics.jobs(queue, status="done", result=True)["result"]) == [n * 2 for n in range(20)]
    assert len(opened) == 21


def test_payloads_and_results_are_read_when_they_are_asked_for(queue: Queue) -> None:
    fill(queue)
    frame = analytics.jobs(queue, type="scan", payload=True, result=True)
    assert list(frame.columns) == [*JOBS, "payload", "result"]
    assert [payload["n"] for payload in frame["payload"]] == [job.payload["n"] for job in queue.jobs(type="scan")]
    assert frame[frame["status"] == "done"]["result"].tolist() == [2, 4]
    assert frame[frame["status"] == "done"]["tags"].tolist() == [("x",), ("x",)]


def test_a_job_that_a_large_bulk_may_have_ended_is_opened(queue: Queue, opened: list[str]) -> None:
    """An event names a hundred ids: of the hundred and first, only its file tells."""
    for n in range(120):
        queue.enqueue("fails", {"n": n}, max_attempts=2, backoff="1h")
    Worker(queue, [fails]).run(drain=True)
    queue.cancel(status="pending")
    assert set(analytics.jobs(queue)["reason"]) == {"cancelled"}


def test_dropped_and_rejected_files(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", durability="relaxed")
    (tmp_path / "q/pending/b.json").write_text(json.dumps({"type": "scan", "payload": {"n": 1}, "priority": 5}))
    (tmp_path / "q/failed/c.json").write_text("no job")
    (tmp_path / "q/done/by-hand.json").write_text(json.dumps({"type": "scan", "payload": {"n": 1}}))
    Worker(queue, [scan]).run(drain=True)
    frame = analytics.jobs(queue).set_index("id")
    assert frame["status"].to_dict() == {"b": "done", "c": "failed", "by-hand": "done"}
    assert (frame.loc["b", "run"] > pd.Timedelta(0), frame.loc["b", "priority"] is pd.NA) == (True, True)
    assert frame.loc["c", "reason"] == "rejected"
    assert analytics.jobs(queue, payload=True).set_index("id").loc["b", "priority"] == 5
    queue.close()


def test_an_unknown_filter_is_refused(queue: Queue) -> None:
    with pytest.raises(InvalidJob, match="tpye.*: not a filter"):
        analytics.jobs(queue, tpye="scan")
