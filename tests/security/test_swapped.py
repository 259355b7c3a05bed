"""A folder of the queue is put aside and a symlink takes its place, while the queue is open: nothing gets out by it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from jobqueue import Queue, handler
from jobqueue.errors import JobQueueError, QueueFolderError
from jobqueue.queue.config import Config
from jobqueue.store.layout import STATUS_FOLDERS, SUPPORT_FOLDERS
from jobqueue.store.locks import Locks
from jobqueue.worker.worker import Worker

PARTS = (*STATUS_FOLDERS, ".jobqueue", *(f".jobqueue/{name}" for name in SUPPORT_FOLDERS), "claimed/<owner>", ".")


@handler
def work(x: int = 0) -> int:
    return x


def swap(part: Path, elsewhere: Path) -> None:
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "theirs.json").write_text('{"type": "work"}')
    part.rename(part.with_name("put-aside"))
    part.symlink_to(elsewhere)


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_written_moved_or_read_where_a_symlink_leads(part: str, tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", config=Config(durability="relaxed", settle_time=0.0))
    jobs = [queue.enqueue("work", {"x": n}, idempotency_key=str(n)) for n in range(3)]
    worker = Worker(queue, [work])
    worker.begin()
    worker.tick()
    elsewhere = tmp_path / "elsewhere"
    swap(tmp_path / "q" / part.replace("<owner>", worker.owner), elsewhere)

    for act in (
        lambda: queue.enqueue("work", {"x": 4}, idempotency_key="4", concurrency_key="c"),
        lambda: queue.enqueue("work", {}),
        lambda: worker.tick(),
        lambda: worker.look_around(),
        lambda: jobs[2].cancel(),
        lambda: jobs[0].retry(),
        lambda: queue.purge(status="failed"),
        lambda: queue.pause(),
        lambda: queue.schedule("work", every="1h"),
        lambda: queue.store.sweep(),
        lambda: queue.store.rescue(),
        lambda: queue.stats(),
        lambda: list(queue.jobs()),
        lambda: worker.end(),
    ):
        with suppress(JobQueueError, OSError):
            act()

    assert os.listdir(elsewhere) == ["theirs.json"]
    assert (elsewhere / "theirs.json").read_text() == '{"type": "work"}'
    queue.close()
    with suppress(QueueFolderError):
        Queue(tmp_path / "q", create=True).close()
    assert os.listdir(elsewhere) == ["theirs.json"]


def test_a_link_in_the_place_of_a_dead_workers_folder_stops_no_rescue(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", config=Config(durability="relaxed"))
    worker = Worker(queue, [work])
    worker.begin()
    swap(tmp_path / "q" / "claimed" / worker.owner, tmp_path / "elsewhere")
    queue.store.locks.release(worker.owner)
    queue.close()

    with Queue(tmp_path / "q") as again:
        assert again.store.rescue() == []
        again.enqueue("work", {})
        other = Worker(again, [work])
        assert other.tick()
        other.end()
    assert os.listdir(tmp_path / "elsewhere") == ["theirs.json"]


@pytest.mark.parametrize("act", ["take", "hold", "try_hold", "seize"])
def test_a_lock_is_never_made_in_another_folder(act: str, tmp_path: Path) -> None:
    """filelock opens a path: what the path leads to is looked at first."""
    (tmp_path / "locks").mkdir()
    locks = Locks(tmp_path / "locks")
    (tmp_path / "locks").rename(tmp_path / "put-aside")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "elsewhere")

    if act == "take":
        with pytest.raises(QueueFolderError, match="is gone"):
            locks.take("owner")
    elif act == "hold":
        with pytest.raises(QueueFolderError, match="is gone"), locks.hold("owner"):
            pass
    else:
        with getattr(locks, act)("owner") as held:
            assert not held
    assert os.listdir(tmp_path / "elsewhere") == []
    assert locks.held == {}


def test_a_lock_that_came_to_lie_elsewhere_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is exchanged between the look and the open: the lock that was got is not ours."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "elsewhere").mkdir()
    locks = Locks(tmp_path / "locks")
    seen = []
    check = locks.check

    def exchange(*arguments: object) -> None:
        check(*arguments)  # type: ignore[arg-type]
        seen.append(arguments)
        if len(seen) == 1:
            (tmp_path / "locks").rename(tmp_path / "put-aside")
            (tmp_path / "elsewhere").rename(tmp_path / "locks")

    monkeypatch.setattr(locks, "check", exchange)
    with pytest.raises(QueueFolderError, match="is gone"):
        locks.take("owner")
    assert locks.held == {}
    with Locks(tmp_path / "locks").try_hold("owner") as free:
        assert free
