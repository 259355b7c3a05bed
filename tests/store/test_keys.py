"""Idempotency keys: one job for one key, whoever asks at the same moment, and whatever dies in between."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.store.keys import KeyRecord, Keys, holds, key_file_name
from jobqueue.store.spool import Spool

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)


def keyed(id: str, key: str = "k", **fields: Any) -> Job:
    return Job(id=id, type="scan", idempotency_key=key, created_at=NOW, **fields)


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    made = Spool(tmp_path / "q", durability="relaxed")
    yield made
    made.close()


def test_processes_racing_on_one_key_make_one_job(tmp_path: Path, spool: Spool) -> None:
    answers = tmp_path / "answers"
    reading, writing = os.pipe()

    def ask(number: int) -> None:
        own = Spool(tmp_path / "q", durability="relaxed")
        os.read(reading, 1)  # all at once
        for key in range(10):
            (put,) = own.put([keyed(f"job-{number}-{key}", f"key-{key}")])
            with answers.open("a") as file:
                file.write(f"{key} {put.located.job.id} {put.outcome}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        children = [fork(lambda number=number: ask(number)) for number in range(4)]  # type: ignore[misc]
    os.write(writing, b"x" * 4)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    told = [line.split() for line in answers.read_text().splitlines()]
    for key in range(10):
        mine = [(id, outcome) for number, id, outcome in told if number == str(key)]
        assert len(mine) == 4
        assert len({id for id, _ in mine}) == 1
        assert sorted(outcome for _, outcome in mine) == ["created", "exists", "exists", "exists"]
    assert spool.counts()[Status.PENDING] == 10
    os.close(reading)
    os.close(writing)


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def test_many_keys_in_one_call_and_the_same_key_twice_in_it(spool: Spool) -> None:
    puts = spool.put([keyed(f"j{number}", f"key-{number % 250}") for number in range(500)])
    assert [put.outcome for put in puts] == ["created"] * 250 + ["exists"] * 250
    assert [put.located.job.id for put in puts[250:]] == [put.located.job.id for put in puts[:250]]
    assert spool.counts()[Status.PENDING] == 250


def test_a_key_whose_job_never_came_is_free(spool: Spool) -> None:
    """The writer died between the key and the job."""
    with spool.keys.locked(["key:k"]) as files:
        spool.keys.write(files["key:k"], KeyRecord(key="key:k", id="never-came"))
    (put,) = spool.put([keyed("a")])
    assert put.outcome == "created"
    assert spool.put([keyed("b")])[0].located.job.id == "a"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b'{"key": 1}', b"\xff", b'{"key":"key:k","id":"a"}{"key":"key:k","id":"b"}']
)
def test_a_torn_key_file_says_nothing_and_stops_nobody(spool: Spool, data: bytes) -> None:
    path = spool.path / ".jobqueue" / "keys" / key_file_name("key:k")
    path.write_bytes(data)
    assert spool.put([keyed("a")])[0].outcome == "created"
    assert spool.put([keyed("b")])[0].outcome == "exists"


@pytest.mark.parametrize("key", ["../../x", "a/b", "x" * 1000, "new\nline", "é", " ", "k\x7f"])
def test_keys_are_anything(spool: Spool, key: str) -> None:
    assert spool.put([keyed("a", key)])[0].outcome == "created"
    assert spool.put([keyed("b", key)])[0].located.job.id == "a"
    assert {len(name) for name in os.listdir(spool.path / ".jobqueue" / "keys")} == {40}


def test_force_and_given_ids(spool: Spool) -> None:
    spool.put([keyed("a")])
    assert spool.put([keyed("b")], force=True)[0].outcome == "created"
    plain = Job(id="a", type="scan")
    assert spool.put([plain], given_ids=True)[0].outcome == "exists"
    assert spool.put([Job(id="new", type="scan")], given_ids=True)[0].outcome == "created"


def test_how_long_a_key_holds() -> None:
    record = KeyRecord(key="k", id="a", made_at=NOW)
    assert [holds(record, state, NOW) for state in ("active", "finished", "trashed", "gone")] == [True, True, False, False]
    active = KeyRecord(key="k", id="a", scope="active", made_at=NOW)
    assert [holds(active, state, NOW) for state in ("active", "finished", "gone")] == [True, False, False]
    day = KeyRecord(key="k", id="a", scope="24h", made_at=NOW)
    later = NOW + timedelta(hours=25)
    assert [holds(day, state, NOW) for state in ("active", "finished", "trashed")] == [True, True, True]
    assert [holds(day, state, later) for state in ("active", "finished", "trashed")] == [True, False, False]


def test_a_removed_key_file_is_not_locked_by_two(tmp_path: Path) -> None:
    """Whoever waited for the lock of a file that was removed meanwhile must not take it for the key."""
    folder = os.open(tmp_path, os.O_RDONLY)
    keys = Keys(folder, durable=False)
    first = keys.open_locked("name")
    (tmp_path / "name").unlink()
    second = keys.open_locked("name")
    assert not os.path.samestat(os.fstat(first), os.fstat(second))
    assert keys.is_at(second, "name")
    assert not keys.is_at(first, "name")
    for file in (first, second, folder):
        os.close(file)


def test_a_sweep_frees_only_what_is_free(spool: Spool) -> None:
    spool.put([keyed("a", "held")])
    with spool.keys.locked(["key:lost"]) as files:
        spool.keys.write(files["key:lost"], KeyRecord(key="key:lost", id="gone"))
    assert spool.sweep() == 1
    assert os.listdir(spool.path / ".jobqueue" / "keys") == [key_file_name("key:held")]
