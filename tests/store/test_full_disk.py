"""A disk that is full to the last block must not keep a queue from finishing what it has begun."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue import Queue, Worker, handler
from jobqueue.errors import QueueFolderError


@handler
def fill_and_finish(path: str) -> str:
    """Takes all the room that is left while its job is running, then finishes."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (1 << 16, 4096, 1):
        try:
            while True:
                os.write(file, b"x" * size)
        except OSError:
            continue
    os.close(file)
    return "finished"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("durability", ["strict", "relaxed"])
def test_jobs_finish_on_a_full_disk(small_disk: Path, durability: str) -> None:
    queue = Queue(small_disk / "q", durability=durability)
    jobs = queue.enqueue_many("fill_and_finish", [{"path": str(small_disk / "filler")}] * 10)

    Worker(queue, [fill_and_finish]).run(drain=True)

    assert [job.status.value for job in jobs] == ["done"] * 10
    assert {job.result() for job in jobs} == {"finished"}
    assert os.listdir(small_disk / "q" / ".jobqueue" / "tmp") == []


def test_an_enqueue_does_not_take_the_room_that_finishing_needs(small_disk: Path) -> None:
    """The reserve of a worker is for outcomes alone: what it gives for those comes back, and for a new job it would not."""
    queue = Queue(small_disk / "q")

    @handler
    def greedy(path: str) -> str:
        fill_and_finish(path)
        with pytest.raises(QueueFolderError, match="No space left on device"):
            queue.enqueue("greedy", {"path": path})
        return "finished"

    jobs = queue.enqueue_many("greedy", [{"path": str(small_disk / "filler")}] * 3)
    worker = Worker(queue, [greedy])
    assert [worker.tick() for _ in range(3)] == [True] * 3
    assert {job.result() for job in jobs} == {"finished"}
    worker.run(drain=True)


def test_what_cannot_be_stored_is_said_and_leaves_nothing(small_disk: Path) -> None:
    queue = Queue(small_disk / "q")
    fill_and_finish(str(small_disk / "filler"))

    with pytest.raises(QueueFolderError, match="No space left on device"):
        queue.enqueue("scan")

    assert len(queue) == 0
    assert os.listdir(small_disk / "q" / ".jobqueue" / "tmp") == []


def test_after_room_was_made_everything_works_again_and_the_journal_is_whole(small_disk: Path) -> None:
    queue = Queue(small_disk / "q")
    filler = small_disk / "filler"
    queue.enqueue_many("fill_and_finish", [{"path": str(filler)}] * 3)
    worker = Worker(queue, [fill_and_finish])
    worker.run(drain=True)
    filler.unlink()

    job = queue.enqueue("fill_and_finish", {"path": str(small_disk / "filler2")})
    Worker(queue, [fill_and_finish]).run(drain=True)

    assert job.result() == "finished"
    done = {attempt.job for attempt in queue.store.attempts() if attempt.outcome == "done"}
    assert done == {job.id for job in queue.jobs("done")}
