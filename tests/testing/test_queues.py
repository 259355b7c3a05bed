"""What applications use to test their jobs."""

from datetime import timedelta
from pathlib import Path

import pytest

from jobqueue import JobContext, Retry, Snooze, constant, default_queue, enqueue, handler
from jobqueue.testing import FakeClock, assert_enqueued, assert_not_enqueued, drain, temporary_queue


@handler
def welcome(to: str, ctx: JobContext) -> dict[str, object]:
    return {"to": to, "attempt": ctx.attempt}


@handler(retry=constant("10m", attempts=2))
def flaky() -> None:
    raise Retry("not yet")


@handler
def parent() -> None:
    enqueue("welcome", {"to": "child"})


@handler
def sleepy() -> None:
    raise Snooze("1h")


@pytest.mark.parametrize("folder", [False, True])
def test_jobs_of_an_application_run_without_a_worker(folder: bool) -> None:
    with temporary_queue(folder=folder):
        enqueue("welcome", {"to": "ann"})

        drained = drain(handlers=[welcome])

        assert drained.results == [{"to": "ann", "attempt": 1}]


def test_the_temporary_queue_is_the_default_one_only_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQUEUE_DIR", str(tmp_path / "own"))
    with temporary_queue() as outer:
        with temporary_queue() as inner:
            assert default_queue() is inner
        assert default_queue() is outer
    assert default_queue().store.url == str(tmp_path / "own")


def test_a_job_that_a_handler_enqueues_runs_too() -> None:
    with temporary_queue():
        enqueue(parent)

        assert len(drain(handlers=[parent, welcome]).done) == 2


@pytest.mark.parametrize("folder", [False, True])
def test_the_clock_makes_retries_and_delays_due(folder: bool) -> None:
    clock = FakeClock()
    with temporary_queue(clock=clock, folder=folder) as queue:
        queue.enqueue("welcome", {"to": "later"}, delay="1d")
        queue.enqueue("flaky")

        first = drain(handlers=[welcome, flaky])
        clock.advance("10m")
        second = drain(handlers=[welcome, flaky])
        clock.advance(timedelta(days=1))
        third = drain(handlers=[welcome, flaky])

        assert (first.done, first.failed, len(first.waiting)) == ([], [], 2)
        assert [job.error.message for job in second.failed if job.error] == ["not yet"]
        assert [job.payload["to"] for job in third.done] == ["later"]


def test_a_snoozed_job_waits() -> None:
    with temporary_queue():
        enqueue(sleepy)

        [job] = drain(handlers=[sleepy]).waiting

        assert job.attempts == 0


def test_assert_enqueued_finds_by_payload_and_field() -> None:
    with temporary_queue() as queue:
        made = queue.enqueue("welcome", {"to": "ann", "lang": "de"}, priority="high")

        assert assert_enqueued("welcome", {"to": "ann"}, priority=5, count=1) == made
        assert_not_enqueued("welcome", {"to": "bob"})


def test_a_failed_assertion_lists_what_there_is() -> None:
    with temporary_queue():
        enqueue("welcome", {"to": "ann"})

        with pytest.raises(
            AssertionError, match=r"no job 'welcome' with \{\"to\": \"bob\"\} was enqueued; there are:\s+welcome"
        ):
            assert_enqueued("welcome", {"to": "bob"})
        with pytest.raises(AssertionError, match="1 jobs 'welcome' were enqueued, not 2"):
            assert_enqueued("welcome", count=2)
        with pytest.raises(AssertionError, match="a job 'welcome' was enqueued"):
            assert_not_enqueued("welcome")
