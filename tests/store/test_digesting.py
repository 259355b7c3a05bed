"""Digests are read fast, and say the same as who reads with all care; what is no job of ours is never opened for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from jobqueue.model.job import Failure, Job
from jobqueue.model.status import Status
from jobqueue.store import skimming
from jobqueue.store.base import Digest, digest
from jobqueue.store.codec import encode
from jobqueue.store.skimming import LARGEST
from jobqueue.store.spool import Spool

from .conftest import now

ID = "10-20260101T000000000000-0000000a"
JOB = Job(id=ID, type="scan", name="a scan", project="p1", batch="b1", created_at=now(), attempts=2, written_by="w1")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "q")
    yield made
    made.close()


def put(spool: Spool, status: Status, data: bytes, id: str = ID) -> None:
    (Path(spool.url) / status.value / f"{id}.json").write_bytes(data)


def one(spool: Spool, id: str = ID) -> Digest | None:
    whole = {found.id: found for found in spool.digests(tuple(Status))}
    some = {found.id: found for found in spool.digests(tuple(Status), [id])}
    assert some == {known: found for known, found in whole.items() if known == id}
    return some.get(id)


TIME = b'"created_at": "2026-01-01T00:00:00Z"'
OURS = b'"type": "scan", "id": "' + ID.encode() + b'", "created_at": "2026-01-01T00:00:00Z"'
ERROR = Failure(type="E", message="m", traceback="t" * 50)


CASES = {
    "pending": (Status.PENDING, encode(JOB)),
    "failed": (Status.FAILED, encode(replace(JOB, finished_at=now(), error=ERROR))),
    "large": (Status.DONE, encode(replace(JOB, finished_at=now(), result="x" * LARGEST))),
    "of just that size": (Status.DONE, encode(JOB).ljust(LARGEST)),
    "edited": (Status.PENDING, b'{"task": "scan", "created_at": "2026-01-01T00:00:00+02:00", "priority": "high"}'),
    "in other words": (Status.PENDING, b'{"projectId": "p2", ' + OURS + b"}"),
    "with words of its own": (Status.PENDING, b'{"owner": "me", ' + OURS + b"}"),
    "forged": (Status.PENDING, encode(replace(JOB, written_by=None))),
    "of another id": (Status.PENDING, encode(replace(JOB, id=ID[:-1] + "b"))),
    "naive time": (Status.PENDING, encode(JOB).replace(b'Z"', b'"')),
    "without a time": (Status.PENDING, b'{"type": "scan"}'),
    "without a type": (Status.PENDING, b'{"type": "", ' + TIME + b"}"),
    "torn": (Status.DONE, encode(JOB)[:-20]),
    "no UTF-8": (Status.DONE, encode(JOB).replace(b"scan", b"s\xffan")),
    "nested deeply": (Status.DONE, encode(JOB).replace(b'"p1"', b"[" * 9000)),
    "empty": (Status.PENDING, b""),
    "that says where it is": (Status.DONE, b'{"status": "failed", "rejected": "x", ' + OURS + b"}"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_fast_is_what_is_read_with_care(spool: Spool, case: str) -> None:
    status, data = CASES[case]
    put(spool, status, data)
    assert one(spool) == digest(spool.get(ID))


def test_what_we_wrote_is_read_fast(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool.reading, "read", None)
    for case in ("pending", "failed", "of just that size"):
        status, data = CASES[case]
        put(spool, status, data)
        (found,) = spool.digests((status,), [ID])
        assert (found.type, found.project, found.attempts) == ("scan", "p1", 2)


def test_the_reason_of_a_rejected_drop_is_told(spool: Spool) -> None:
    put(spool, Status.FAILED, b"no JSON at all")
    (Path(spool.url) / "failed" / f"{ID}.reason").write_text("line 1: not JSON\nmore")
    found = one(spool)
    assert found is not None
    assert (found.reason, found.rejected) == ("rejected", "line 1: not JSON")


def test_a_dropped_file_has_its_digest(spool: Spool) -> None:
    put(spool, Status.PENDING, b'{"type": "scan", "project": 7}', "dropped")
    found = one(spool, "dropped")
    assert found is not None
    assert found == digest(spool.get("dropped"))
    assert found.project == "7"


@pytest.mark.parametrize("kind", ["pipe", "link", "hard link", "folder"])
def test_what_is_no_plain_file_is_not_opened(spool: Spool, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path, other = f"{spool.url}/pending/{ID}.json", tmp_path / "other"
    other.write_bytes(encode(JOB))
    make = {"pipe": lambda: os.mkfifo(path), "folder": lambda: os.mkdir(path)}
    make |= {"link": lambda: os.symlink(other, path), "hard link": lambda: os.link(other, path)}
    make[kind]()

    def open_to_look(folder: int, name: str) -> int:
        raise AssertionError(f"{name} was opened")

    monkeypatch.setattr(skimming.files, "open_to_look", open_to_look)
    found = one(spool)
    assert found is not None
    assert found.type == "?"


def test_one_that_has_just_gone_is_left_out(spool: Spool) -> None:
    put(spool, Status.DONE, encode(JOB))
    found = spool.digests((Status.DONE,), [ID, "other"])
    os.remove(f"{spool.url}/done/{ID}.json")
    assert list(found) == []
