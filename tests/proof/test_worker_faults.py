"""A disk, or a kernel, that refuses everything for a while ends no worker, and is counted against no job."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from jobqueue import Queue, Worker, handler
from jobqueue.queue.config import Config

from .crash_children import in_child
from .crash_scenes import info
from .faults_calls import failing

LONG_BEFORE = -1e9


@handler
def scan(n: int) -> int:
    return n


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES], ids=errno.errorcode.get)
def test_a_worker_lives_through_a_disk_that_is_broken_for_a_while(
    number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Queue(tmp_path / "q", config=Config(settle_time=0.1)) as queue:
        given_back = queue.enqueue("scan", {"n": 1})
        assert in_child(lambda: hand_back(tmp_path / "q")) == 0
        jobs = [given_back, *queue.enqueue_many("scan", [{"n": n} for n in range(2, 6)])]
        worker = Worker(queue, [scan])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "look_around", lambda: None)
            worker.begin()
        with failing(0, number, every=True) as faults:
            for _ in range(20):
                make_due(worker)
                worker.step()
        assert faults.hit
        assert len(caplog.records) < 10, "said again and again"
        make_due(worker)
        queue.store.claiming.skipped_at = LONG_BEFORE  # what could not be opened is looked at again after half a minute
        worker.run(drain=True, patience=1.0)
        assert queue.stats().done == 5
        assert [job.result() for job in jobs] == [1, 2, 3, 4, 5]
        assert [job.located.job.attempts for job in jobs] == [1] * 5, "what the disk refused was counted as an attempt"


def make_due(worker: Worker) -> None:
    worker.looked_at = 0.0
    for chore in worker.chores.all:
        chore.due_at = 0.0


def hand_back(path: Path) -> None:
    """A worker that gave its job back and has ended: that is no attempt, and stands only in what it said of itself."""
    store = Queue(path).store
    owner = store.join(info())
    assert len(store.claim(owner)) == 1
    store.hand_back(owner)
    os._exit(0)
