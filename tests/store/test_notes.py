"""What running jobs leave beside their files: progress, checkpoint, items, log, artifacts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue
from jobqueue.errors import InvalidJob, NotJSON
from jobqueue.model.progress import Progress
from jobqueue.queue.config import Config
from jobqueue.store import files
from jobqueue.store.layout import NOTES_FOLDERS
from jobqueue.store.logfile import leave_out, section
from jobqueue.store.notes import FileNotes, open_notes
from jobqueue.store.spool import Spool
from jobqueue.store.sweep import sweep_notes

LIMIT = 40_000


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    spool = Spool(tmp_path / "q", durability="relaxed", max_log_size=LIMIT)
    yield spool
    spool.close()


@pytest.fixture
def notes(spool: Spool) -> FileNotes:
    return spool.file_notes


def read(notes: FileNotes, start: int = 0) -> bytes:
    return notes.read_log("a", start=start)[0]


# -- places


def test_a_queue_folder_of_an_older_version_gets_what_it_lacks(tmp_path: Path) -> None:
    Spool(tmp_path / "q").close()
    for name in NOTES_FOLDERS:
        (tmp_path / "q" / ".jobqueue" / name).rmdir()

    spool = Spool(tmp_path / "q", create=False)

    assert spool.notes.progress("a") is None
    assert all((tmp_path / "q" / ".jobqueue" / name).is_dir() for name in NOTES_FOLDERS)
    spool.close()


def test_notes_are_the_same_through_their_address(notes: FileNotes) -> None:
    other = open_notes(notes.address)

    other.set_progress("a", Progress(percent=40, message="half"))
    other.set_checkpoint("a", {"row": 7})
    other.open_log("a").write(b"hello\n")

    assert notes.progress("a") == Progress(percent=40, message="half")
    assert notes.checkpoint("a") == {"row": 7}
    assert read(notes) == b"hello\n"
    assert (other.durable, other.max_log_size) == (notes.durable, notes.max_log_size)


@pytest.mark.parametrize("id", ["x" * 250, "größe 📏", "a\nb", "-rf", "$(ls)", "b\udcff"])
def test_any_name_that_a_job_can_have_has_notes(notes: FileNotes, tmp_path: Path, id: str) -> None:
    (tmp_path / "file").write_text("text")

    notes.set_progress(id, Progress(percent=1))
    notes.set_checkpoint(id, 1)
    notes.add_item(id, {"key": 1})
    notes.open_log(id).write(b"x")
    kept = notes.keep_artifact(id, tmp_path / "file", "file")

    assert notes.progress(id) is not None
    assert (notes.checkpoint(id), notes.items(id), notes.read_log(id)) == (1, [{"key": 1}], (b"x", 1))
    assert kept["size"] == 4
    assert set(notes.ids()) == {id}


@pytest.mark.parametrize("id", ["../a", "a/b", ".a", "", "x" * 251])
def test_a_name_that_no_job_can_have_has_no_notes(notes: FileNotes, id: str) -> None:
    with pytest.raises(InvalidJob, match="id: .* cannot be the name of a file"):
        notes.set_checkpoint(id, 1)


# -- progress, checkpoint, items


def test_what_cannot_be_read_counts_as_nothing(notes: FileNotes, spool: Spool) -> None:
    for folder, name in (("progress", "a.json"), ("checkpoints", "a.json"), ("items", "a.rows")):
        (spool.path / ".jobqueue" / folder / name).write_bytes(b'{"percent": 400, \xff')

    assert notes.progress("a") is None
    assert notes.checkpoint("a") is None
    assert notes.items("a") == []


def test_a_checkpoint_is_json(notes: FileNotes) -> None:
    notes.set_checkpoint("a", {"row": 7})

    with pytest.raises(NotJSON, match=r"state\.rows: a set is not a JSON value; write sorted"):
        notes.set_checkpoint("a", {"rows": {1, 2}})

    assert notes.checkpoint("a") == {"row": 7}


def test_a_checkpoint_is_synced_as_the_store_is_and_progress_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "q", durability="strict")
    steps: list[str] = []
    monkeypatch.setattr(files, "probe", steps.append)

    spool.notes.set_progress("a", Progress(percent=1))
    spool.notes.set_progress("a", Progress(percent=2))
    assert not [step for step in steps if "sync" in step]
    spool.notes.set_checkpoint("a", 1)

    assert steps[steps.index("fsync") :] == ["fsync", "replace", "fsync folder"]
    spool.close()


def test_a_torn_item_is_left_out_and_spoils_no_other(notes: FileNotes, spool: Spool) -> None:
    notes.add_item("a", {"key": 1})
    with (spool.path / ".jobqueue/items/a.rows").open("ab") as stream:
        stream.write(b'\n{"key": 2, "seco')

    notes.add_item("a", {"key": 3})

    assert notes.items("a") == [{"key": 1}, {"key": 3}]


def test_a_full_disk_stops_nobody(notes: FileNotes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    log = notes.open_log("a")

    def full(step: str) -> None:
        if step in ("write", "create"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "probe", full)
    notes.set_progress("a", Progress(percent=1))
    log.write(b"lost\n")
    log.write(b"lost\n")
    monkeypatch.setattr(files, "probe", None)
    log.write(b"kept\n")

    assert notes.progress("a") is None
    assert read(notes) == b"kept\n"
    assert [record.getMessage() for record in caplog.records] == [
        "the log a.log cannot be written, and output is lost: No space left on device"
    ]


# -- the log


def test_a_log_is_made_with_its_first_byte_and_each_attempt_has_a_heading(notes: FileNotes, spool: Spool) -> None:
    first = notes.open_log("a", "--- attempt 1 ---")
    assert not list((spool.path / ".jobqueue/logs").iterdir())
    first.write(b"one\ntorn")
    first.close()

    notes.open_log("a", "--- attempt 2 ---").close()  # it printed nothing
    notes.open_log("a", "--- attempt 3 ---").write(b"three\n")

    assert read(notes) == b"--- attempt 1 ---\none\ntorn\n--- attempt 3 ---\nthree\n"


@pytest.mark.parametrize("chunk", [1, 7, 1000, 3 * LIMIT])
def test_a_flood_leaves_the_beginning_and_the_end_within_the_limit(notes: FileNotes, spool: Spool, chunk: int) -> None:
    flood = b"".join(b"line %d\n" % number for number in range(15_000))
    log = notes.open_log("a")

    for start in range(0, len(flood), chunk) if chunk > 1 else [0]:
        log.write(flood[start : start + chunk] if chunk > 1 else flood)
        assert (spool.path / ".jobqueue/logs/a.log").stat().st_size <= LIMIT

    kept = read(notes)
    before, missing, behind = re.split(rb"\n--- (\d+) bytes left out ---\n", kept)
    assert flood.startswith(before)
    assert flood.endswith(behind)
    assert len(before) > LIMIT // 4 - 100
    assert len(behind) > LIMIT // 3
    assert len(before) + int(missing) + len(behind) == len(flood)


def test_who_follows_a_log_sees_all_of_it_but_what_was_left_out(notes: FileNotes) -> None:
    log = notes.open_log("a")
    heard, position = b"", 0
    written = b""
    for number in range(20_000):
        line = b"line %d\n" % number
        log.write(line)
        written += line
        if number % 50 == 0:
            data, position = notes.read_log("a", start=position)
            heard += data
    heard += read(notes, position)

    assert heard == written  # whoever looks often enough misses nothing


def test_who_comes_back_late_is_told_that_something_is_missing(notes: FileNotes) -> None:
    log = notes.open_log("a")
    log.write(b"begin\n" + b"x\n" * (LIMIT // 4))
    _, position = notes.read_log("a")

    log.write(b"y\n" * LIMIT)
    late, end = notes.read_log("a", start=position)

    assert re.match(rb"\n--- \d+ bytes left out ---\ny\n", late)
    assert end == 6 + 2 * (LIMIT // 4) + 2 * LIMIT
    assert notes.read_log("a", start=end) == (b"", end)


def test_a_line_like_ours_in_the_output_breaks_nothing() -> None:
    forged = b"a\n--- 5 bytes left out ---\nb\n"

    assert section(forged, 0, None)[0] == forged
    assert leave_out(forged * 1000, 100, 100).count(b"left out") >= 1


# -- artifacts


def test_an_artifact_is_a_copy(notes: FileNotes, tmp_path: Path) -> None:
    source = tmp_path / "report.html"
    source.write_text("<p>")

    kept = notes.keep_artifact("a", source, "final.html")
    source.unlink()

    assert kept == {"size": 3, "path": ".jobqueue/artifacts/a/final.html"}
    path = Path(notes.artifact_path("a", "final.html"))
    assert path == tmp_path / "q" / kept["path"]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("<p>", 0o600)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "/etc/passwd", "x" * 201, "nul\0"])
def test_the_name_of_an_artifact_is_one_plain_name(notes: FileNotes, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidJob, match="artifact: "):
        notes.keep_artifact("a", tmp_path / "q", name)
    with pytest.raises(InvalidJob, match="artifact: "):
        notes.artifact_path("a", name)


def test_a_folder_is_no_artifact(notes: FileNotes, tmp_path: Path) -> None:
    with pytest.raises(InvalidJob, match="is a folder; make one file of it"):
        notes.keep_artifact("a", tmp_path, "folder")


# -- the end


def test_a_new_job_of_an_old_name_finds_no_notes_of_the_other(tmp_path: Path) -> None:
    with Queue(tmp_path / "q", config=Config(durability="relaxed")) as queue:
        old = queue.enqueue("scan", id="nightly")
        queue.store.notes.add_item(old.id, {"key": 1})
        queue.store.notes.open_log(old.id).write(b"old\n")
        old.delete()
        queue.enqueue("scan", id="nightly")
        [claim] = queue.store.claim(queue.store.join(info()))

        assert claim.job.id == "nightly"
        assert queue.store.notes.items("nightly") == []
        assert queue.store.notes.read_log("nightly") == (b"", 0)


def info() -> Any:
    from datetime import datetime, timezone

    from jobqueue.store.base import WorkerInfo

    return WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=datetime.now(timezone.utc))


def test_the_sweep_takes_the_notes_of_jobs_that_are_nowhere_any_more(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", config=Config(durability="relaxed"))
    spool = queue.store
    assert isinstance(spool, Spool)
    ids = {name: queue.enqueue("scan", id=name).id for name in ("waiting", "purged")}
    queue.delete(ids["purged"])
    (tmp_path / "file").write_text("text")
    for id in ("waiting", "purged", "gone"):
        spool.notes.open_log(id).write(b"x\n")
        spool.notes.keep_artifact(id, tmp_path / "file", "file")

    assert sum(sweep_notes(spool.folder, spool.file_notes)) == 0  # none is an hour old
    assert sum(sweep_notes(spool.folder, spool.file_notes, seconds=-1)) == 1

    assert set(spool.file_notes.ids()) == {"waiting", "purged"}
    queue.restore("purged")
    assert queue.get("purged").log() == "x\n"
    queue.close()
