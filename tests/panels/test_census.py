"""The folders in memory: always what a listing says, whatever happens between two looks."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.model.status import Status
from jobqueue.panels import events
from jobqueue.panels.census import Census


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def census(queue: Queue, clock: Clock) -> Iterator[Census]:
    made = Census(queue, clock)
    yield made
    made.close()


def listed(queue: Queue) -> dict[Status, set[str]]:
    return {status: set(queue.store.ids(status)) for status in Status}


def put(queue: Queue, status: str, name: str) -> Path:
    path = Path(queue.store.url, status, f"{name}.json")
    path.write_text("{}")
    return path


def test_it_follows_by_events_alone(queue: Queue, census: Census, monkeypatch: pytest.MonkeyPatch) -> None:
    assert census.events.alive
    listings: list[int] = []
    original = census.list_all
    monkeypatch.setattr(census, "list_all", lambda: listings.append(1) or original())
    draw = random.Random(5)
    here: dict[str, Path] = {}
    for number in range(300):
        if here and draw.random() < 0.7:
            name = draw.choice(sorted(here))
            target = Path(queue.store.url, draw.choice(["pending", "done", "failed"]), f"{name}.json")
            if draw.random() < 0.2:
                here.pop(name).unlink()
            else:
                here[name].rename(target)
                here[name] = target
        else:
            here[f"job{number}"] = put(queue, "pending", f"job{number}")
        if draw.random() < 0.3:
            census.look()
            assert census.ids == listed(queue)
            assert sorted([*census.waiting, *census.waiting.strangers]) == sorted(queue.store.ids(Status.PENDING))
    assert listings == []


def test_no_change_touches_nothing(queue: Queue, census: Census) -> None:
    put(queue, "pending", "a")
    census.look()
    census.look()
    assert census.touched == {}
    put(queue, "done", "b")
    census.look()
    assert census.touched == {"b": None}


def test_an_overflow_is_followed_by_a_listing(queue: Queue, census: Census) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 40_000:
        pytest.skip(f"this kernel keeps {most} events")
    folder = os.path.join(queue.store.url, "pending")
    noise = os.path.join(folder, ".noise")
    for _ in range(most // 2 + 100):
        os.close(os.open(noise, os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(noise)
    put(queue, "done", "unheard")
    assert "unheard" not in census.ids[Status.DONE]
    census.look()
    assert census.ids == listed(queue)
    assert census.events.alive
    put(queue, "done", "heard")
    census.look()
    assert census.ids == listed(queue)


def test_without_events_it_lists_as_often_as_it_can_afford(queue: Queue, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(events, "INotify", refuse)
    census = Census(queue, clock)
    census.listing_took = 0.5
    put(queue, "done", "a")
    clock.now += 9.9
    census.look()
    assert census.ids[Status.DONE] == set()
    clock.now += 0.2
    census.look()
    assert census.ids[Status.DONE] == {"a"}
    assert census.fileno() is None


def test_once_a_minute_the_truth_is_listed(queue: Queue, census: Census, clock: Clock) -> None:
    put(queue, "done", "a")
    census.events.notify.read(timeout=0)  # lost on its way
    census.look()
    assert census.ids[Status.DONE] == set()
    clock.now += 61
    census.look()
    assert census.ids[Status.DONE] == {"a"}


def test_another_queue_in_its_place_is_seen_at_once(queue: Queue, census: Census, tmp_path: Path) -> None:
    home = Path(queue.store.url)
    put(queue, "done", "old")
    census.look()
    home.rename(tmp_path / "away")
    for status in Status:
        (home / status.value).mkdir(parents=True)
    census.look()
    assert census.lost
    put(queue, "done", "new")
    census.look()
    assert census.ids[Status.DONE] >= listed(queue)[Status.DONE]
    assert census.events.folders == census.events.identities()


def test_what_was_touched_is_told(queue: Queue, census: Census, clock: Clock) -> None:
    census.look()
    path = put(queue, "pending", "a")
    census.look()
    assert (census.touched, census.lost) == ({"a": None}, False)
    census.look()
    assert census.touched == {}
    path.write_text("[]")
    census.look()
    assert census.touched == {"a": Status.PENDING}
    held = Path(queue.store.url, "claimed", "someone")
    held.mkdir()
    path.rename(held / "a.json")
    census.look()
    assert census.touched == {"a": Status.PENDING}
    assert census.status_of("a") is Status.CLAIMED
    clock.now += 61
    put(queue, "done", "b")
    census.events.notify.read(timeout=0)  # only the listing tells
    census.look()
    assert (census.touched, census.lost) == ({"b": None}, False)


@pytest.mark.parametrize("target", ["claimed/someone", "done"])
def test_a_job_that_moves_on_between_listing_and_events_is_in_one_place(queue: Queue, census: Census, target: str) -> None:
    held = Path(queue.store.url, "claimed", "someone")
    held.mkdir()
    path = put(queue, "pending" if target != "done" else "claimed/someone", "a")
    census.look()
    listed_ids, moved = queue.store.ids, Path(queue.store.url, target, "a.json")

    def move_afterwards(status: Status) -> list[str]:
        found = listed_ids(status)
        if not moved.exists():
            path.rename(moved)
        return found

    queue.store.ids = move_afterwards
    census.look()
    assert moved.exists()
    assert [status for status in Status if "a" in census.ids[status]] == [Status(target.split("/")[0])]
    assert sum(census.counts.values()) == 1


def test_a_forked_child_has_no_part_in_it(queue: Queue, census: Census) -> None:
    descriptor = census.fileno()
    assert descriptor is not None
    child = os.fork()
    if child == 0:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    put(queue, "done", "a")
    census.look()
    assert census.ids[Status.DONE] == {"a"}


def test_the_newest_come_first_in_the_order_in_which_they_came(queue: Queue, census: Census) -> None:
    for name in ("b", "c", "a"):
        put(queue, "done", name)
    census.look()
    assert census.newest(Status.DONE, 2) == ["a", "c"]
    Path(queue.store.url, "done", "a.json").unlink()
    census.look()
    assert census.newest(Status.DONE, 9) == ["c", "b"]
    put(queue, "done", "a")
    census.look()
    assert census.newest(Status.DONE, 9) == ["a", "c", "b"]


def test_rates_delays_and_ages(queue: Queue, census: Census, clock: Clock) -> None:
    queue.with_options(delay="1h").enqueue("scan", {})
    job = queue.enqueue("scan", {})
    put(queue, "done", "x")
    census.look()
    now = queue.clock.now()
    assert (census.delayed(now), census.rate(Status.DONE)) == (1, 1.0)
    assert abs((census.oldest_due() - job.record.created_at).total_seconds()) < 1
    clock.now += 61
    assert census.rate(Status.DONE) == 0.0


def test_a_store_without_folders() -> None:
    with Queue(":memory:") as queue:
        census = Census(queue)
        queue.enqueue("scan", {})
        census.listing_took = 0.0
        census.look()
        assert census.counts[Status.PENDING] == 1
        census.close()
