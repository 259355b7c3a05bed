"""Each rule of the table in jobqueue/queue/health.py, and what is looked at."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, handler
from jobqueue.model.status import Status
from jobqueue.queue.health import Facts, judge_health
from jobqueue.store.base import WorkerInfo
from jobqueue.testing import FakeClock, drain

NOW = datetime(2026, 11, 23, 10, tzinfo=timezone.utc)
AGO = NOW - timedelta(minutes=11)
WORKER = WorkerInfo(owner="w", host="h", pid=1, started_at=NOW, types=("scan",))


@handler
def broken() -> None:
    raise ValueError("no luck")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Queue:
    return Queue(tmp_path / "q", clock=clock, durability="relaxed")


RULES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "healthy", ""),
    ({"due": {"scan": (2, NOW)}, "workers": [WORKER]}, "healthy", ""),
    ({"due": {"scan": (2, NOW)}}, "unhealthy", "2 jobs are due and no worker is alive; start one"),
    ({"problem": "/q: is gone"}, "unhealthy", "The folder cannot be used: /q: is gone"),
    (
        {"due": {"scan": (2, NOW)}, "paused": "the queue is paused"},
        "degraded",
        "The queue is paused; end it with queue.resume()",
    ),
    (
        {"due": {"scan": (1, NOW)}, "paused_types": {"scan": "the type 'scan' is paused"}},
        "degraded",
        "queue.resume(type='scan')",
    ),
    ({"due": {"mail": (3, NOW)}, "workers": [WORKER]}, "degraded", "No live worker serves 'mail' (3); start one"),
    ({"overlooked": {"scan": AGO}, "workers": [WORKER]}, "degraded", "has been due for 11 min, and a worker is idle"),
    ({"overlooked": {"scan": NOW}, "workers": [WORKER]}, "healthy", ""),
    ({"stalled": 1}, "degraded", "1 job is held by workers that have died"),
    ({"disk_free": 10**8, "disk_size": 10**12}, "degraded", "Only 100 MB of the disk is free"),
    ({"disk_free": 2 * 10**9, "disk_size": 10**12}, "healthy", ""),
    ({"disk_free": 10**8, "disk_size": 10**9}, "healthy", ""),
    ({"memory": 10**8}, "degraded", "Only 100 MB of memory is available"),
    ({"attempts": 10, "failures": 5}, "degraded", "5 of 10 attempts in the last 10 min failed"),
    ({"attempts": 11, "failures": 5}, "healthy", ""),
    ({"attempts": 4, "failures": 4}, "healthy", ""),
]


@pytest.mark.parametrize(("facts", "status", "says"), RULES)
def test_a_rule(facts: dict[str, Any], status: str, says: str) -> None:
    health = judge_health(Facts(now=NOW, **facts))
    assert (health.status, bool(health)) == (status, status == "healthy")
    assert len(health.reasons) == (status != "healthy")
    assert says in "".join(health.reasons)


def test_grave_reasons_come_first() -> None:
    health = judge_health(Facts(now=NOW, due={"scan": (1, NOW)}, stalled=2))
    assert health.status == "unhealthy"
    assert [reason[:5] for reason in health.reasons] == ["1 job", "2 job"]
    assert str(health).splitlines()[0] == "unhealthy"


def test_the_keys_that_probes_know_come_first() -> None:
    counts = {Status.PENDING: 2, Status.CLAIMED: 1, Status.DONE: 15}
    document = judge_health(Facts(now=NOW, counts=counts)).to_dict()
    assert list(document)[:3] == ["status", "stats", "timestamp"]
    assert document["stats"] == {"waiting": 2, "active": 1, "completed": 15, "failed": 0}
    assert document["timestamp"] == "2026-11-23T10:00:00.000000Z"


def without_the_machine(queue: Queue) -> list[str]:
    return [reason for reason in queue.health().reasons if not reason.startswith("Only ")]


def test_what_is_looked_at(queue: Queue, clock: FakeClock) -> None:
    queue.enqueue("broken", delay="1h")
    assert without_the_machine(queue) == []
    queue.enqueue_many("broken", [{}] * 5, max_attempts=1)
    assert without_the_machine(queue)[0].startswith("5 jobs are due and no worker is alive")
    drain(queue, [broken])
    assert without_the_machine(queue)[0].startswith("5 of 5 attempts in the last 10 min failed")
    clock.advance("11m")
    assert without_the_machine(queue) == []
    assert queue.health().stats.failed == 5


def test_a_held_back_job_is_not_overlooked(queue: Queue, clock: FakeClock) -> None:
    first = queue.enqueue("scan", delay="1d")
    queue.enqueue("scan", after=[first])
    owner = queue.store.join(WorkerInfo(owner="", host="h", pid=1, started_at=clock.now(), types=("scan",)))
    clock.advance("1h")
    assert without_the_machine(queue) == []
    queue.enqueue("scan")
    clock.advance("1h")
    assert "A job of type 'scan' has been due for 2 h" in without_the_machine(queue)[0]
    queue.store.leave(owner)


def test_what_the_dead_hold_is_counted(queue: Queue, clock: FakeClock) -> None:
    queue.enqueue("scan")
    owner = queue.store.join(WorkerInfo(owner="", host="h", pid=1, started_at=clock.now()))
    assert len(queue.store.claim(owner)) == 1
    assert queue.health().stalled == 0
    queue.store.leave(owner)
    assert queue.health().stalled == 1
    queue.store.rescue()
    assert queue.health().stalled == 0


def test_a_folder_that_is_gone_is_unhealthy(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "q").rename(tmp_path / "elsewhere")
    health = queue.health()
    assert (health.status, health.stats.waiting) == ("unhealthy", 0)
    assert "was moved, removed or replaced" in health.reasons[0]


def test_a_queue_in_memory_has_health_too() -> None:
    assert without_the_machine(Queue(":memory:")) == []
