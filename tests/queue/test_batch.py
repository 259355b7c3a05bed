"""Many jobs at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue import Batch, Queue, Worker, handler
from jobqueue.errors import InvalidJob, JobFailed, JobNotFound, StillRunning
from jobqueue.model.progress import Progress
from jobqueue.store.base import WorkerInfo
from jobqueue.testing import drain


@handler
def invert(n: int) -> float:
    return 1 / n


@pytest.fixture(params=["folder", "memory"])
def queue(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Queue]:
    with Queue(tmp_path / "q" if request.param == "folder" else ":memory:", durability="relaxed") as made:
        yield made


def batch_of(queue: Queue, *numbers: int) -> Batch[float]:
    return queue.enqueue_many("invert", [{"n": n} for n in numbers], max_attempts=1, batch="b1")


def test_results_come_in_order(queue: Queue) -> None:
    batch = batch_of(queue, 1, 2, 4)
    with Worker(queue, [invert]):
        assert batch.results("60s") == [1.0, 0.5, 0.25]
    assert batch.wait(0) is batch
    assert list(batch.as_completed()) == list(batch)


def test_a_failure_is_raised_or_returned(queue: Queue) -> None:
    batch = batch_of(queue, 1, 0, 4)
    drain(queue, [invert])
    with pytest.raises(JobFailed, match="division by zero"):
        batch.results()
    one, error, quarter = batch.results(errors="return")
    assert (one, quarter) == (1.0, 0.25)
    assert isinstance(error, JobFailed)
    batch[0].delete()
    assert isinstance(batch.results(errors="return")[0], JobNotFound)
    with pytest.raises(InvalidJob, match="errors: 'ignore' is unknown"):
        batch.results(errors="ignore")  # type: ignore[call-overload]


def test_results_say_how_many_are_left(queue: Queue) -> None:
    with pytest.raises(StillRunning, match="2 of 2 jobs"):
        batch_of(queue, 1, 2).results(0.01)


def test_progress_counts_parts_of_running_jobs(queue: Queue) -> None:
    batch = batch_of(queue, 1, 0, 2, 3)
    drain(queue, [invert])
    batch[0].delete()
    queue.retry([batch[2], batch[3]])
    owner = queue.store.join(WorkerInfo(owner="", host="here", pid=1, started_at=queue.clock.now()))
    (claim,) = queue.store.claim(owner)
    queue.store.notes.set_progress(claim.job.id, Progress(percent=50))

    seen = batch.progress()
    assert (seen.total, seen.done, seen.failed, seen.running, seen.pending, seen.gone) == (4, 0, 1, 1, 1, 1)
    assert seen.percent == 62.5
    assert str(seen) == "62 % of 4 jobs (1 failed, 1 running, 1 pending, 1 gone)"
    assert seen.seconds_left is None
    queue.store.leave(owner)


def test_the_time_left_is_estimated_from_the_first_look_on(queue: Queue) -> None:
    batch = batch_of(queue, 1, 2, 3, 4)
    batch.progress()
    batch[0].cancel()
    left = batch.progress().seconds_left
    assert left is not None
    assert left > 0


def test_an_empty_batch_has_ended() -> None:
    batch: Batch[int] = Batch()
    assert (batch.results(), batch.progress().percent, len(batch.cancel())) == ([], 100.0, 0)
    assert repr(batch) == "<Batch: 100 % of 0 jobs (none)>"


def test_cancel_and_retry_take_those_they_are_for(queue: Queue) -> None:
    batch = batch_of(queue, 0, 1)
    drain(queue, [invert])
    batch += batch_of(queue, 5)
    assert batch.cancel().ids == [batch[2].id]
    assert batch.retry().ids == [batch[0].id, batch[2].id]
    assert batch.cancel().refused == {}


def test_a_batch_is_found_by_its_name(queue: Queue) -> None:
    batch = queue.enqueue_many("invert", [{"n": n} for n in range(1, 4)], batch="nightly", priority="low")
    batch.append(queue.enqueue("invert", {"n": 4}, batch="nightly", priority="urgent"))
    queue.enqueue("invert", {"n": 5})
    assert queue.batch("nightly") == batch
    with pytest.raises(JobNotFound, match="batch weekly"):
        queue.batch("weekly")
