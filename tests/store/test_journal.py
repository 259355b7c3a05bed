"""The record of what happened: every attempt once, whatever was torn or written twice, and few files."""

from __future__ import annotations

import errno
import gzip
import logging
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobqueue.model.entry import AttemptEntry, EventEntry, attempt_entry
from jobqueue.model.job import Attempt, Failure, Job, Ran
from jobqueue.store import files, journal_lines
from jobqueue.store import journal as module
from jobqueue.store.journal import Journal

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def ended(id: str, number: int = 1, at: datetime = NOW, outcome: str = "done", **fields: Any) -> AttemptEntry:
    claimed_at = at - timedelta(seconds=1)
    attempt = Attempt(number=number, outcome=outcome, worker="w", claimed_at=claimed_at, finished_at=at, **fields)
    return attempt_entry(Job(id=id, type="scan", attempts=number, created_at=at - timedelta(seconds=5)), attempt)


def jobs(journal: Journal, since: datetime | None = None) -> list[str]:
    return [entry.job for entry in journal.attempts(since)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.fixture
def journal(folder: int) -> Iterator[Journal]:
    made = Journal(folder)
    yield made
    made.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- reading


def test_attempts_come_back_oldest_first_from_all_writers(journal: Journal, folder: int) -> None:
    other = Journal(folder)
    journal.append([ended("a", at=NOW), ended("c", at=NOW + timedelta(seconds=2))], NOW)
    other.append([ended("b", at=NOW + timedelta(seconds=1))], NOW)
    other.close()
    assert jobs(journal) == ["a", "b", "c"]


def test_an_attempt_that_was_written_twice_counts_once(journal: Journal) -> None:
    journal.append([ended("a"), ended("a")], NOW)
    journal.append([ended("a"), ended("a", number=2, at=NOW + timedelta(seconds=1)), ended("b")], NOW)
    assert sorted((entry.job, entry.number) for entry in journal.attempts()) == [("a", 1), ("a", 2), ("b", 1)]


def test_a_retry_with_the_same_number_counts_again(journal: Journal) -> None:
    journal.append([ended("a"), ended("a", at=NOW + timedelta(minutes=1))], NOW)
    assert jobs(journal) == ["a", "a"]


def test_what_is_no_attempt_is_no_attempt(journal: Journal) -> None:
    journal.append([EventEntry(what="purge", at=NOW, count=3, jobs=("a", "b", "c")), ended("a")], NOW)
    assert jobs(journal) == ["a"]
    assert [journal_lines.is_entry(line) for line in journal.lines()] == [True, True]


@pytest.mark.parametrize("torn", [b'{"job":"b","typ', b"\0\0\0\n", b"\xff\xfe\n", b"null\n", b"[]\n", b"\n"])
def test_a_torn_line_is_skipped(journal: Journal, tmp_path: Path, torn: bytes) -> None:
    journal.append([ended("a")], NOW)
    (file,) = tmp_path.iterdir()
    with file.open("ab") as stream:
        stream.write(torn)
    (tmp_path / "20261122-x.jsonl").write_bytes(torn)
    (tmp_path / "note.txt").write_text("mine")
    assert jobs(journal) == ["a"]


def test_an_old_line_is_read(journal: Journal, tmp_path: Path) -> None:
    """As an earlier version of this package wrote it."""
    line = b'{"job":"a","type":"scan","number":1,"outcome":"done","worker":"w","finished_at":"2026-11-22T12:00:00Z"}\n'
    (tmp_path / "20261122-4711-abc.jsonl").write_bytes(line)
    (entry,) = journal.attempts()
    assert (entry.job, entry.outcome, entry.run_ms, entry.finished_at) == ("a", "done", None, NOW)


def test_a_file_that_is_packed_is_read_and_counts_once(journal: Journal, tmp_path: Path) -> None:
    journal.append([ended("a"), ended("b")], NOW)
    journal.close()
    (file,) = tmp_path.iterdir()
    (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert len(list(journal.lines())) == 2
    file.unlink()
    assert jobs(journal) == ["a", "b"]


def test_a_packed_file_that_is_damaged_is_read_as_far_as_it_goes(journal: Journal, tmp_path: Path) -> None:
    whole = b"".join(msgspec.json.encode(ended(f"j{number}")) + b"\n" for number in range(2000))
    packed = gzip.compress(whole)
    (tmp_path / "20261120-0.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "20261121-0.jsonl.gz").write_bytes(b"no gzip")
    journal.append([ended("last")], NOW)
    found = jobs(journal)
    assert "last" in found
    assert 100 < len(found) < 2000


def test_what_is_new_is_found_from_the_end(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large file only the end is read, however many lines that end has."""
    monkeypatch.setattr(journal_lines, "TAIL", 1000)
    for minute in range(200):
        journal.append([ended(f"j{minute:03}", at=NOW + timedelta(minutes=minute))], NOW)
    for since in (0, 1, 100, 198, 199, 200):
        expected = [f"j{minute:03}" for minute in range(since, 200)]
        assert jobs(journal, NOW + timedelta(minutes=since)) == expected
    assert len(list(journal.lines(NOW + timedelta(minutes=195)))) < 30


# -- writing


def test_one_file_for_each_day(journal: Journal, tmp_path: Path) -> None:
    for day in range(3):
        journal.append([ended(f"j{day}", at=NOW + timedelta(days=day))], NOW + timedelta(days=day))
    assert names(tmp_path) == ["20261122-0.jsonl", "20261123-0.jsonl", "20261124-0.jsonl"]
    assert jobs(journal, NOW + timedelta(hours=20)) == ["j1", "j2"]


def test_as_many_files_as_there_are_writers_at_a_time(folder: int, tmp_path: Path) -> None:
    for _ in range(3):
        writers = [Journal(folder) for _ in range(2)]
        for writer in writers:
            writer.append([ended("a")], NOW)
        for writer in writers:
            writer.close()
    assert names(tmp_path) == ["20261122-0.jsonl", "20261122-1.jsonl"]


def test_the_next_writer_ends_the_line_that_the_last_one_left_torn(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "20261122-0.jsonl").write_bytes(msgspec.json.encode(ended("a")) + b'\n{"job":"b","ty')
    journal.append([ended("c", at=NOW + timedelta(seconds=1))], NOW)
    assert names(tmp_path) == ["20261122-0.jsonl"]
    assert jobs(journal) == ["a", "c"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_the_disk_refuses_goes_out_with_the_next_lines(
    journal: Journal, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "jobqueue")
    write = os.write

    def half(file: int, data: bytes) -> int:
        write(file, data[: len(data) // 2])
        raise OSError(number, os.strerror(number))

    journal.append([ended("a")], NOW)
    monkeypatch.setattr(os, "write", half)
    for id in "bc":
        journal.append([ended(id)], NOW)
    monkeypatch.undo()
    journal.append([ended("d")], NOW)
    assert jobs(journal) == ["a", "b", "c", "d"]
    assert sum("cannot write" in record.getMessage() for record in caplog.records) == 1


def test_a_journal_that_is_refused_for_long_costs_bounded_memory(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then whoever has more to write is refused, and loses nothing by trying again later."""
    monkeypatch.setattr(module, "MOST_UNWRITTEN", 2000)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_all", refuse)
        kept = 0
        while len(journal.unwritten) <= 2000:
            journal.append([ended(f"j{kept:02}")], NOW)
            kept += 1
        with pytest.raises(OSError, match="No space"):
            journal.append([ended("refused")], NOW)
        assert len(journal.unwritten) < 3000
    journal.append([ended("last", at=NOW + timedelta(seconds=1))], NOW)
    assert jobs(journal) == [*(f"j{number:02}" for number in range(kept)), "last"]


def refuse(file: int, data: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- an entry


def test_the_traceback_stays_with_the_job(journal: Journal, tmp_path: Path) -> None:
    journal.append([ended("a", outcome="failed", error=Failure(message="m", traceback="very long"))], NOW)
    (entry,) = journal.attempts()
    assert entry.error == Failure(message="m")
    assert b"very long" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_name_that_is_not_utf_8(journal: Journal) -> None:
    journal.append([ended("\udcff")], NOW)
    assert jobs(journal) == ["\\udcff"]


def test_waiting_and_running_are_told_in_milliseconds() -> None:
    due = NOW - timedelta(seconds=3)
    assert ended("a", ran=Ran(due_at=due)).wait_ms == 2000.0  # claimed a second before NOW
    assert ended("a", ran=Ran(due_at=due)).run_ms == 1000.0  # by the wall clock, where no better one was read
    assert ended("a", ran=Ran(due_at=due, seconds=0.0125)).run_ms == 12.5
    assert ended("a", ran=Ran(due_at=NOW)).wait_ms == -1000.0  # the clock was put back: kept as it is
