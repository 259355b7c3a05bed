"""Waiting for one job and for many, in a thread and in an event loop."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import JobContext, Queue, Worker, as_completed, handler
from jobqueue.errors import InvalidTime, JobFailed, JobNotFound, StillRunning
from jobqueue.queue.awaiting import pollers
from jobqueue.queue.waiting import FIRST, LAST, SHARE, Pace
from jobqueue.testing import drain


@handler
def double(n: int) -> int:
    return 2 * n


@handler
def broken() -> None:
    raise ValueError("no luck with 7")


@handler
def talkative(ctx: JobContext) -> str:
    ctx.progress(40, "half way")
    print("what it printed")
    return "said"


HANDLERS = [double, broken, talkative]


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", durability="relaxed") as made:
        yield made


def failed_job(queue: Queue) -> Any:
    job = queue.enqueue("broken", max_attempts=1)
    drain(queue, HANDLERS)
    return job


# How often one looks


def test_looks_come_often_at_first_and_seldom_later() -> None:
    pace = Pace()
    rests = [pace.after(0.0, news=False) for _ in range(20)]
    assert rests[0] == FIRST
    assert rests == sorted(rests)
    assert rests[-1] == LAST
    assert pace.after(0.0, news=True) == FIRST


def test_looking_never_takes_more_than_its_share() -> None:
    assert Pace().after(1.0, news=True) == SHARE


# In a thread


def test_wait_says_why_it_gave_up(queue: Queue) -> None:
    job = queue.enqueue("double", {"n": 1})
    with pytest.raises(StillRunning, match=f"job {job.id} has not finished in 10ms: Not started: no live worker"):
        job.wait("10ms")
    with pytest.raises(InvalidTime):
        job.wait("soon")


def test_ctrl_c_ends_the_waiting_and_not_the_job(queue: Queue) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores Ctrl-C
    job = queue.enqueue("double", {"n": 1})
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        job.wait("30s")
    timer.join()
    signal.signal(signal.SIGINT, before)
    assert job.status == "pending"


def test_a_job_that_is_deleted_ends_the_waiting(queue: Queue) -> None:
    job = queue.enqueue("double", {"n": 1})
    timer = threading.Timer(0.05, queue.delete, (job.id,))
    timer.start()
    with pytest.raises(JobNotFound):
        job.wait("30s")
    timer.join()


def test_a_failure_is_short_and_its_display_has_the_remote_traceback(queue: Queue) -> None:
    job = failed_job(queue)
    with pytest.raises(JobFailed) as caught:
        job.result()
    error = caught.value
    assert str(error) == f"job {job.id} failed (error): no luck with 7"
    shown = "".join(traceback.format_exception(error))
    assert "Where the job failed:" in shown
    assert 'raise ValueError("no luck with 7")' in shown
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.traceback, copy.__notes__) == (str(error), error.traceback, error.__notes__)


def test_as_completed_yields_in_the_order_of_finishing(queue: Queue) -> None:
    late, early = queue.enqueue("double", {"n": 1}, priority="low"), queue.enqueue("double", {"n": 2}, priority="high")
    drain(queue, HANDLERS)
    assert list(as_completed([late, early, late])) == [early, late]
    assert list(as_completed([])) == []


def test_as_completed_yields_each_as_soon_as_it_has_finished(queue: Queue) -> None:
    never = queue.enqueue("double", {"n": 0}, delay="1d")
    jobs = [never, *(queue.enqueue("double", {"n": n}) for n in range(5)), failed_job(queue)]
    found = []
    with Worker(queue, HANDLERS):
        for job in as_completed(jobs, timeout="60s"):
            found.append(job)
            if len(found) == 6:
                break
    assert set(found) == set(jobs) - {never}


def test_as_completed_says_how_many_are_left(queue: Queue) -> None:
    jobs = [failed_job(queue), *(queue.enqueue("double", {"n": n}) for n in range(2))]
    with pytest.raises(StillRunning, match=r"^2 of 3 jobs \(the first is job .*\) have not finished in 0.01: Not started"):
        list(as_completed([*jobs, jobs[1]], timeout=0.01))


# In an event loop


def test_a_job_can_be_awaited(queue: Queue) -> None:
    async def main() -> list[Any]:
        job, bad = queue.enqueue("double", {"n": 21}), queue.enqueue("broken", max_attempts=1)
        return await asyncio.gather(job, bad, job, return_exceptions=True)

    with Worker(queue, HANDLERS):
        first, error, again = asyncio.run(main())
    assert (first, again) == (42, 42)
    assert isinstance(error, JobFailed)
    assert pollers == {}


def test_a_finished_job_is_awaited_at_once(queue: Queue) -> None:
    job = queue.enqueue("double", {"n": 1})
    drain(queue, HANDLERS)

    async def main() -> Any:
        return await job

    assert asyncio.run(main()) == 2


def test_many_waiters_share_one_poller_and_the_loop_goes_on(queue: Queue) -> None:
    jobs = queue.enqueue_many("double", [{"n": n} for n in range(300)])

    async def main() -> tuple[list[int], int]:
        ticks = 0
        waiting = asyncio.gather(*jobs)
        while not waiting.done():
            await asyncio.sleep(0.002)
            ticks += 1
            assert len(pollers) <= 1
            if ticks == 5:
                assert len(asyncio.all_tasks()) == 300 + 2
                worker.start()
        return await waiting, ticks

    worker = Worker(queue, HANDLERS)
    results, ticks = asyncio.run(main())
    worker.stop()
    assert results == [2 * n for n in range(300)]
    assert ticks > 5


def test_who_stops_awaiting_stops_nothing_else(queue: Queue) -> None:
    job, other = queue.enqueue("double", {"n": 1}), queue.enqueue("double", {"n": 2})

    async def main() -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await job
        assert pollers == {}
        waiting = asyncio.ensure_future(other)
        await asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await job
        assert job.status == "pending"
        with Worker(queue, HANDLERS):
            return await waiting

    assert asyncio.run(main()) == 4


def test_an_awaited_job_that_is_deleted_is_not_found(queue: Queue) -> None:
    async def main() -> None:
        job = queue.enqueue("double", {"n": 1})
        asyncio.get_running_loop().call_later(0.03, queue.delete, job.id)
        with pytest.raises(JobNotFound):
            await job

    asyncio.run(main())


def test_a_folder_that_fails_is_told_to_who_waits(queue: Queue) -> None:
    async def main() -> None:
        job = queue.enqueue("double", {"n": 1})
        asyncio.get_running_loop().call_later(0.03, queue.close)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await job

    asyncio.run(main())


# From another process


def test_another_process_finds_progress_log_and_result(queue: Queue) -> None:
    queue.enqueue("talkative")
    drain(queue, HANDLERS)
    code = """
import sys
from jobqueue import Queue
job = Queue(sys.argv[1]).last("talkative")
print(job.progress.percent, repr(job.result()), "what it printed" in job.log())
"""
    found = subprocess.run([sys.executable, "-c", code, queue.store.url], capture_output=True, text=True)
    assert found.stdout == "100.0 'said' True\n", found.stderr
