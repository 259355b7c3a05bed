"""A bundle may come from anybody: only known names come out of it, bounded, once each, and nothing of it runs by itself."""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, handler
from jobqueue.errors import InvalidJob
from jobqueue.queue import bundle as bundles
from jobqueue.testing import drain

JOB = {"id": "j", "type": "work", "payload": {}, "written_by": "bundle", "attempts": 1, "finished_at": "2026-01-01T00:00:00Z"}
ENVIRONMENT = {"format": 1, "status": "done"}


@handler
def work() -> None:
    raise AssertionError("it must not run")


def box(path: Path, members: dict[str, bytes] | list[tuple[Any, bytes]], **how: Any) -> Path:
    known: list[tuple[Any, bytes]] = [
        ("job.json", json.dumps(JOB).encode()),
        ("environment.json", json.dumps(ENVIRONMENT).encode()),
    ]
    given = list(members.items()) if isinstance(members, dict) else members
    names = {name if isinstance(name, str) else name.filename for name, _ in given}
    with zipfile.ZipFile(path, "w", **how) as file:
        for name, data in [*(one for one in known if one[0] not in names), *given]:
            file.writestr(name, data)
    return path


def symlink(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


BAD_NAMES = (
    *("../../escaped", "/escaped", "artifacts/../../escaped", "artifacts/a/b", "artifacts/", "artifacts/..", "artifacts/.x"),
    *("unknown", "C:\\escaped", "artifacts/a\\..\\b/c", "artifacts/" + "n" * 300, "job.json/", "JOB.JSON"),
)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "q", durability="relaxed")


def refused(queue: Queue, path: Path, match: str | None = None) -> None:
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(InvalidJob, match=match) as caught:
        queue.import_bundle(path)
    assert str(path) in str(caught.value)
    assert queue.stats().total == 0
    after = [one for one in path.parent.rglob("*") if one not in before]
    assert [one for one in after if "locks" not in one.parts and one.name not in ("arrivals", "j")] == []


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_a_path(name: str, queue: Queue, tmp_path: Path) -> None:
    refused(queue, box(tmp_path / "b.zip", {name: b"x"}))


def test_a_symlink_comes_out_as_a_small_file(queue: Queue, tmp_path: Path) -> None:
    job = queue.import_bundle(box(tmp_path / "b.zip", [(symlink("artifacts/link"), b"/etc/passwd")]))
    kept = Path(job.artifacts["link"]["path"])
    assert not kept.is_symlink()
    assert kept.read_bytes() == b"/etc/passwd"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["job.json", "environment.json", "log.txt", "artifacts/x"])
def test_a_name_that_is_there_twice(name: str, queue: Queue, tmp_path: Path) -> None:
    twice = json.dumps(JOB if name == "job.json" else ENVIRONMENT).encode()
    refused(queue, box(tmp_path / "b.zip", [(name, twice), (name, twice)]), "twice")


@pytest.mark.parametrize("name", ["job.json", "log.txt", "items.jsonl", "checkpoint.json", "environment.json"])
def test_a_bomb(name: str, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read up to its limit and no further, whatever size the archive claims."""
    monkeypatch.setitem(bundles.LARGEST, name, 1 << 20)
    path = box(tmp_path / "b.zip", {name: b" " * (8 << 20)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    refused(queue, path, "larger than")
    data = path.read_bytes()
    claim = struct.pack("<L", 8 << 20)
    path.write_bytes(data.replace(claim, struct.pack("<L", 10)))
    refused(queue, path)


def test_artifacts_have_one_limit_together(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LARGEST_ARTIFACTS", 1 << 20)
    members = {f"artifacts/{number}": b"0" * (300 << 10) for number in range(4)}
    refused(queue, box(tmp_path / "b.zip", members, compression=zipfile.ZIP_DEFLATED), "more than")


def test_too_many_names_are_refused_before_any_is_read(queue: Queue, tmp_path: Path) -> None:
    members = {f"artifacts/{number}": b"" for number in range(bundles.MOST_MEMBERS)}
    refused(queue, box(tmp_path / "b.zip", members), "files in it")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_ways_to_pack(method: int, queue: Queue, tmp_path: Path) -> None:
    """Their unpackers raise what no zip file should, and take what memory they like."""
    path = box(tmp_path / "b.zip", {"log.txt": b"x" * 1000}, compression=method)
    path.write_bytes(path.read_bytes().replace(b"xxxx", b"yyyy"))
    refused(queue, path, "packed in a way")


def damaged() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "cut": lambda data: data[: len(data) // 2],
        "empty": lambda data: b"",
        "text": lambda data: b"not a zip file",
        "encrypted": lambda data: data.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
        ),
        "checksum": lambda data: data.replace(b'"work"', b'"wirk"'),
        "names": lambda data: data.replace(b"job.json", b"j\xff\xfejson"),
        "offsets": lambda data: data[:-10] + b"\xff" * 10,
    }


@pytest.mark.parametrize("harm", damaged().values(), ids=damaged())
def test_a_damaged_archive(harm: Callable[[bytes], bytes], queue: Queue, tmp_path: Path) -> None:
    path = box(tmp_path / "b.zip", {})
    path.write_bytes(harm(path.read_bytes()))
    refused(queue, path)


FORGED: dict[str, dict[str, Any]] = {
    "pending": {"job": {}, "status": "pending"},
    "claimed": {"job": {"locked_by": "worker-1", "written_by": "worker-1"}, "status": "claimed"},
    "no status": {"job": {}, "status": None},
    "odd status": {"job": {}, "status": {"x": []}},
    "path for an id": {"job": {"id": "../../escaped"}, "status": "done"},
    "number for an id": {"job": {"id": 7}, "status": "done"},
    "artifacts": {"job": {"artifacts": {"../../x": {"size": 1, "path": "/etc/passwd"}}}, "status": "done"},
    "keys": {"job": {"idempotency_key": "k", "after": ["x"], "run_after": "2020-01-01T00:00:00Z"}, "status": "done"},
    "no outcome": {"job": {"written_by": None, "finished_at": None}, "status": "done"},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_job_is_a_finished_one(forged: dict[str, Any], queue: Queue, tmp_path: Path) -> None:
    members = {
        "job.json": json.dumps({key: value for key, value in (JOB | forged["job"]).items() if value is not None}).encode(),
        "environment.json": json.dumps({"format": 1, "status": forged["status"]}).encode(),
    }
    job = queue.import_bundle(box(tmp_path / "b.zip", members))
    assert job.status == ("done" if forged["status"] == "done" else "failed")
    assert (job.artifacts, job.idempotency_key, job.after) == ({}, None, ())
    assert "/" not in job.id
    drain(queue, [work])
    assert job.attempts <= 1
    assert sorted(os.listdir(tmp_path)) == ["b.zip", "here", "q"]


NONE = (b"[]", b"null", b'"x"', b"{", b'{"type": 1}', b'{"id": "a"}', b'{"a":' * 500 + b"1" + b"}" * 500)


@pytest.mark.parametrize("document", NONE)
@pytest.mark.parametrize("name", ["job.json", "environment.json"])
def test_a_document_that_is_none(name: str, document: bytes, queue: Queue, tmp_path: Path) -> None:
    refused(queue, box(tmp_path / "b.zip", {name: document}))
