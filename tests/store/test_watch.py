"""Events make things prompt; without them polling serves, and says so once."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from jobqueue.store.watch import Watch


@pytest.fixture
def watched(tmp_path: Path) -> Any:
    names: SimpleQueue[str] = SimpleQueue()
    watch = Watch(str(tmp_path), names)
    assert watch.start()
    yield tmp_path, names, watch
    watch.stop()


def heard(names: SimpleQueue[str], wanted: str) -> bool:
    """Whether an event for this name comes; fails after a time that is far more than enough."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if names.get(timeout=10) == wanted:
            return True
    return False


def test_real_events(watched: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, names, _ = watched
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "written.json").write_text("{}")
    assert heard(names, "written.json")
    (elsewhere / "moved.json").write_text("{}")
    (elsewhere / "moved.json").rename(folder / "moved.json")
    assert heard(names, "moved.json")
    (folder / "written.json").rename(folder / "renamed.json")
    assert heard(names, "renamed.json")
    name = os.fsdecode(b"not-utf-8-\xff.json")
    (folder / name).write_text("{}")
    assert heard(names, name)


def test_it_can_be_paused_and_started_again(watched: Any) -> None:
    folder, names, watch = watched
    for round in range(3):
        watch.pause()
        assert not watch.watching
        (folder / f"unheard-{round}.json").write_text("{}")
        assert watch.start()
        (folder / f"heard-{round}.json").write_text("{}")
        assert heard(names, f"heard-{round}.json")


def test_an_event_behind_a_claim_is_not_held_back(watched: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """watchdog waits half a second for the other end of a move out of the folder, and holds all that comes behind it."""
    folder, names, _ = watched
    elsewhere = tmp_path_factory.mktemp("claimed")
    taken = []
    for number in range(8):
        (folder / f"claimed-{number}.json").write_text("{}")
        assert heard(names, f"claimed-{number}.json")
        (folder / f"claimed-{number}.json").rename(elsewhere / f"{number}.json")
        started = time.monotonic()
        (folder / f"next-{number}.json").write_text("{}")
        assert heard(names, f"next-{number}.json")
        taken.append(time.monotonic() - started)
    assert sorted(taken)[4] < 0.4


def exhausted(*_: Any, **__: Any) -> None:
    raise OSError(24, "inotify instance limit reached")


def test_without_events_it_says_so_once_and_polls(
    bench: Any, monkeypatch: pytest.MonkeyPatch, said: Callable[[str], int]
) -> None:
    monkeypatch.setattr("watchdog.observers.api.BaseObserver.schedule", exhausted)
    for number in range(3):
        bench.drop(f"x{number}.json")
        started = time.monotonic()
        bench.work_until(lambda number=number: f"x{number}" in bench.ran)
        assert time.monotonic() - started < 5
        assert bench.spool.wait(0.01) in (True, False)
    assert said("no file events") == 1
    assert bench.spool.claiming.watch.broken


def test_polling_finds_what_comes_while_it_sleeps(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchdog.observers.api.BaseObserver.schedule", exhausted)
    bench.spool.wait(0.01)
    dropper = threading.Timer(0.1, lambda: bench.drop("x.json"))
    dropper.start()
    started = time.monotonic()
    assert bench.spool.wait(30)
    assert time.monotonic() - started < 10
    dropper.join()
    assert bench.work() == ["x"]


def test_a_wait_ends_with_an_event(bench: Any) -> None:
    bench.spool.wait(0)
    dropper = threading.Timer(0.1, lambda: bench.drop("x.json"))
    dropper.start()
    started = time.monotonic()
    while not bench.work():
        bench.spool.wait(30)
    assert time.monotonic() - started < 10
    dropper.join()
    assert bench.ran == ["x"]


def test_a_wait_ends_with_wake_and_with_its_time(bench: Any) -> None:
    bench.spool.wait(0)
    waker = threading.Timer(0.05, bench.spool.wake)
    waker.start()
    started = time.monotonic()
    bench.spool.wait(30)
    assert time.monotonic() - started < 10
    waker.join()
    bench.spool.wait(0.01)
    assert time.monotonic() - started < 20


def test_what_came_between_the_listing_and_the_watch_is_found(bench: Any) -> None:
    """Watch first, then look: the first wait looks again."""
    assert bench.work() == []
    bench.drop("x.json")
    assert bench.spool.wait(30)
    assert bench.work() == ["x"]


def test_a_lost_event_is_made_up_for_by_the_rescan(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.spool.wait(0)
    assert bench.work() == []
    bench.spool.claiming.watch.names = SimpleQueue()  # whatever is heard now is lost
    bench.spool.claiming.events = SimpleQueue()
    bench.drop("x.json")
    bench.work_until(lambda: bench.ran == ["x"])


def test_a_backlog_takes_the_watch_down_and_an_idle_time_brings_it_back(bench: Any) -> None:
    bench.spool.wait(0)
    assert bench.spool.claiming.watch.watching
    for number in range(60):
        bench.drop(f"x{number:02}.json")
    while bench.work():
        pass
    assert len(bench.ran) == 60
    assert not bench.spool.claiming.watch.watching
    bench.spool.wait(0)
    assert bench.spool.claiming.watch.watching


def test_a_watch_taken_down_is_no_error(watched: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, _, watch = watched
    (emitter,) = watch.observer.emitters
    watch.pause()
    emitter.queue_events(1)  # what its thread may do once more, between the end of the watch and its own
    assert not [record for record in caplog.records if record.name.startswith("watchdog")]
    logging.getLogger("watchdog.observers.inotify").error("something else")
    assert "something else" in caplog.text
