"""Two people at one job: each is told what is so, whatever the other does in the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue.model.job import Job
from jobqueue.model.transition import Run, complete
from jobqueue.store import files, verbs
from jobqueue.store.base import WorkerInfo
from jobqueue.store.folder import Place
from jobqueue.store.spool import Spool

ID = "10-20260101T000000000000-00000000"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Spool, Spool]]:
    made = Spool(tmp_path / "q", durability="relaxed"), Spool(tmp_path / "q", durability="relaxed")
    made[0].put([Job(id=ID, type="scan")], given_ids=True)
    yield made
    for spool in made:
        spool.close()


def test_of_two_who_cancel_a_job_one_is_told_that_it_was_too_late(
    two: tuple[Spool, Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    told: list[str] = []
    other = threading.Thread(target=lambda: told.append(second.cancel([ID])[0].outcome))
    has_seen_it = threading.Event()
    find = second.folder.find

    def found(id: str) -> Place | None:
        place = find(id)
        has_seen_it.set()
        return place

    def probe(step: str) -> None:
        if step == "swap" and threading.current_thread() is not other and not other.is_alive():
            other.start()
            assert has_seen_it.wait(20)

    monkeypatch.setattr(second.folder, "find", found)
    monkeypatch.setattr(verbs, "PATIENCE", 60.0)
    monkeypatch.setattr(files, "probe", probe)
    told.append(first.cancel([ID])[0].outcome)
    other.join(30)

    assert sorted(told) == ["changed", "refused"]


def test_a_stopped_operation_keeps_others_waiting_for_a_moment_only(
    two: tuple[Spool, Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    monkeypatch.setattr(verbs, "PATIENCE", 0.05)
    told: list[str] = []

    def stopped_here(step: str) -> None:
        if step == "swap":
            monkeypatch.setattr(files, "probe", None)
            told.append(second.retry([ID])[0].outcome)

    monkeypatch.setattr(files, "probe", stopped_here)
    first.cancel([ID])

    assert told == ["refused"]
    assert first.get(ID).job.cancelled


def test_what_a_dead_operation_holds_is_taken_back_and_changed(two: tuple[Spool, Spool], forked: Callable[..., int]) -> None:
    path = two[0].path
    spool = Spool(path, durability="relaxed")
    assert forked(lambda: spool.cancel([ID]), crash_at=2) == 9  # it holds it, undecided
    spool.close()
    assert two[0].get(ID).status == "claimed"

    assert two[0].cancel([ID])[0].outcome == "changed"
    assert two[0].get(ID).job.cancelled


def test_a_job_that_moves_while_it_is_looked_for_is_not_missing(
    two: tuple[Spool, Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    first.cancel([ID])
    read = second.reading.read

    def moved_meanwhile(place: Place) -> Any:
        if place.status == "failed":
            assert first.retry([ID])[0].outcome == "changed"
        return read(place)

    monkeypatch.setattr(second.reading, "read", moved_meanwhile)

    assert second.cancel([ID])[0].outcome == "changed"


def test_a_cancel_of_a_finished_job_leaves_no_mark_for_its_next_run(two: tuple[Spool, Spool], probed: list[str]) -> None:
    two[0].cancel([ID])
    probed.clear()

    assert two[0].cancel([ID])[0].outcome == "refused"
    assert "create" not in probed


def test_a_job_that_was_taken_away_and_runs_elsewhere_stays_asked_to_stop(two: tuple[Spool, Spool]) -> None:
    """`mv claimed/<owner>/x.json pending/` under a worker's hands; another one runs it by the time the first is through."""
    owners = [spool.join(WorkerInfo(owner="", host="here", pid=1, started_at=spool.clock.now())) for spool in two]
    (taken,) = two[0].claim(owners[0])
    (two[0].path / "claimed" / owners[0] / f"{ID}.json").rename(two[0].path / "pending" / f"{ID}.json")
    two[1].wake()
    (running,) = two[1].claim(owners[1])
    assert two[1].cancel([ID])[0].outcome == "cancelling"

    run = Run(owners[0], taken.claimed_at, two[0].clock.now())
    assert two[0].apply([(taken, complete(taken.job, 1, run))]) == [False]
    assert two[1].extend(owners[1], [running]) == {ID: "cancel"}
