"""Retention at work: what goes, what never does, and in which slices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from jobqueue import Discard, Queue, handler
from jobqueue.model.retention import Retention, Rule
from jobqueue.model.status import Status
from jobqueue.queue.config import Config
from jobqueue.testing import FakeClock, drain
from jobqueue.worker import piecework, retainer
from jobqueue.worker.chores import Chores
from jobqueue.worker.retainer import Retainer

DAY = 86400.0


@handler
def work(fail: bool = False) -> None:
    if fail:
        raise Discard("no")


@pytest.fixture
def clock() -> FakeClock:
    """From the real time on: a folder tells by its own clock since when a file lies there."""
    return FakeClock(datetime.now(timezone.utc))


@pytest.fixture(params=["folder", "memory"])
def queue(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Queue]:
    rules = Retention(done=Rule(age=7 * DAY), failed=Rule(age=30 * DAY))
    place = tmp_path / "q" if request.param == "folder" else ":memory:"
    with Queue(place, clock=clock, config=Config(durability="relaxed", retention=rules)) as made:
        yield made


def fill(queue: Queue) -> None:
    """Two done, two failed, one pending."""
    queue.enqueue_many("work", [{}, {}, {"fail": True}, {"fail": True}])
    drain(queue, [work])
    queue.enqueue("work")


def counts(queue: Queue) -> dict[str, int]:
    return {status.value: number for status, number in queue.store.counts().items()}


def test_what_is_old_goes_and_what_waits_stays(queue: Queue, clock: FakeClock) -> None:
    fill(queue)
    attempts = list(queue.store.attempts())
    clock.advance("8d")

    assert queue.apply_retention(dry_run=True).dry_run
    assert counts(queue)["done"] == 2
    bulk = queue.apply_retention()

    assert len(bulk) == 2
    assert counts(queue) == {"pending": 1, "claimed": 0, "done": 0, "failed": 2}
    clock.advance("30d")
    assert len(queue.apply_retention()) == 2
    assert counts(queue) == {"pending": 1, "claimed": 0, "done": 0, "failed": 0}
    assert list(queue.store.attempts()) == attempts
    assert len(queue.restore(bulk)) == 2


def test_without_a_rule_nothing_ever_goes(clock: FakeClock) -> None:
    with Queue(":memory:", clock=clock, config=Config()) as queue:
        fill(queue)
        clock.advance("9999d")
        assert len(queue.apply_retention()) == 0
        assert Retainer(queue).turn() == retainer.EVERY


def test_a_rejected_drop_and_what_it_leaves_go_too(tmp_path: Path, clock: FakeClock) -> None:
    rules = Retention(failed=Rule(age=DAY))
    config = Config(durability="relaxed", settle_time=0.0, retention=rules)
    with Queue(tmp_path / "q", clock=clock, config=config) as queue:
        (tmp_path / "q" / "pending" / "bad.json").write_text(json.dumps(["no job"]))
        deadline = time.monotonic() + 20
        while not counts(queue)["failed"] and time.monotonic() < deadline:
            drain(queue, [work])
        clock.advance("2d")
        assert queue.apply_retention().ids == ["bad"]
        assert list((tmp_path / "q" / "failed").iterdir()) == []


def test_what_ran_again_meanwhile_is_no_longer_meant(queue: Queue, clock: FakeClock) -> None:
    from jobqueue.queue.retaining import let_go

    fill(queue)
    seen = list(queue.store.resting(Status.DONE))
    time.sleep(0.02)  # the clock of a folder ticks every few milliseconds
    clock.advance("1h")
    queue.retry(seen[0].id)
    drain(queue, [work])

    assert [change.id for change in let_go(queue.store, Status.DONE, seen, False)] == [seen[1].id]


def test_a_worker_does_it_in_slices(queue: Queue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue_many("work", [{} for _ in range(130)])
    drain(queue, [work])
    clock.advance("8d")
    monkeypatch.setattr(piecework, "SLICE", 0.0)
    made, turns = Retainer(queue), 0

    while made.turn() == 0.0:
        turns += 1
        left = counts(queue)["done"]
        assert left >= 130 - 25 * turns

    assert counts(queue)["done"] == 0
    assert turns >= 6
    made.close()


def test_one_worker_has_the_duty_until_it_ends(queue: Queue, clock: FakeClock) -> None:
    fill(queue)
    clock.advance("8d")
    first, second = Retainer(queue), Retainer(queue)
    assert first.on_duty()

    second.turn()
    assert counts(queue)["done"] == 2
    first.close()
    second.turn()

    assert counts(queue)["done"] == 0
    second.close()


def test_the_chores_of_a_worker_give_the_duty_back(queue: Queue) -> None:
    chores = Chores(queue)
    chores.retainer.turn()
    chores.close()
    assert Retainer(queue).on_duty()
