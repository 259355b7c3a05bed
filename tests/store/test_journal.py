"""The record of finished attempts: every line once, whatever was torn or written twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.store.journal import Journal

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def ended(id: str, number: int = 1, at: datetime = NOW, outcome: str = "done", **fields: object) -> tuple[Job, Attempt]:
    attempt = Attempt(
        number=number, outcome=outcome, worker="w", claimed_at=at - timedelta(seconds=1), finished_at=at, **fields
    )  # type: ignore[arg-type]
    return Job(id=id, type="scan", attempts=number, created_at=at - timedelta(seconds=5)), attempt


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


def test_lines_come_back_oldest_first_from_all_writers(journal: Journal, folder: int) -> None:
    other = Journal(folder)
    journal.append([ended("a", at=NOW), ended("c", at=NOW + timedelta(seconds=2))], NOW)
    other.append([ended("b", at=NOW + timedelta(seconds=1))], NOW)
    other.close()
    assert [line.job for line in journal.read()] == ["a", "b", "c"]


def test_one_file_for_each_day_and_writer(journal: Journal, tmp_path: Path) -> None:
    for day in range(3):
        journal.append([ended(f"j{day}", at=NOW + timedelta(days=day))], NOW + timedelta(days=day))
    assert sorted(path.name[:8] for path in tmp_path.iterdir()) == ["20261122", "20261123", "20261124"]
    since = NOW + timedelta(hours=20)
    assert [line.job for line in journal.read(since)] == ["j1", "j2"]


def test_an_attempt_that_was_written_twice_counts_once(journal: Journal) -> None:
    journal.append([ended("a"), ended("a")], NOW)
    journal.append([ended("a"), ended("a", number=2, at=NOW + timedelta(seconds=1)), ended("b")], NOW)
    assert sorted((line.job, line.number) for line in journal.read()) == [("a", 1), ("a", 2), ("b", 1)]


def test_a_retry_with_the_same_number_counts_again(journal: Journal) -> None:
    journal.append([ended("a"), ended("a", at=NOW + timedelta(minutes=1))], NOW)
    assert len(list(journal.read())) == 2


@pytest.mark.parametrize("torn", [b'{"job":"b","typ', b"\0\0\0\n", b"\xff\xfe\n", b"null\n", b"[]\n", b"\n"])
def test_a_torn_line_is_skipped(journal: Journal, tmp_path: Path, torn: bytes) -> None:
    journal.append([ended("a")], NOW)
    (file,) = tmp_path.iterdir()
    with file.open("ab") as stream:
        stream.write(torn)
    (tmp_path / "20261122-x.jsonl").write_bytes(torn)
    (tmp_path / "note.txt").write_text("mine")
    assert [line.job for line in journal.read()] == ["a"]


def test_the_traceback_stays_with_the_job(journal: Journal, tmp_path: Path) -> None:
    journal.append([ended("a", outcome="failed", error=Failure(message="m", traceback="very long"))], NOW)
    (line,) = journal.read()
    assert line.error == Failure(message="m")
    assert b"very long" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_name_that_is_not_utf_8(journal: Journal) -> None:
    journal.append([ended("\udcff")], NOW)
    assert len(list(journal.read())) == 1
