"""A disk that refuses the journal never keeps a job from finishing, and no line is lost once it works again."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jobqueue.model.entry import AttemptEntry, attempt_entry
from jobqueue.model.job import Attempt, Job
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete
from jobqueue.store.base import WorkerInfo
from jobqueue.store.journal import Journal
from jobqueue.store.spool import Spool

from .faults_calls import failing

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EACCES]


def job(id: str) -> Job:
    return Job(id=id, type="scan", created_at=NOON)


def ended(id: str, at: datetime = NOON) -> AttemptEntry:
    return attempt_entry(job(id), Attempt(number=1, outcome="done", worker="w", claimed_at=at, finished_at=at))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


def ids(folder: int) -> list[str]:
    return sorted(entry.job for entry in Journal(folder).attempts())


@pytest.mark.parametrize("every", [False, True], ids=["once", "from there on"])
@pytest.mark.parametrize("number", ERRORS, ids=lambda number: errno.errorcode[number])
def test_whichever_call_fails_no_line_is_lost_across_days(number: int, every: bool, tmp_path: Path) -> None:
    for at in count():
        folder = os.open(tmp_path / f"{at}", os.O_RDONLY) if (tmp_path / f"{at}").mkdir() is None else -1
        journal, written = Journal(folder), []
        with failing(at, number, every=every) as faults:
            for hours in range(0, 60, 10):
                now = NOON + timedelta(hours=hours)
                written += [f"a{hours}", f"b{hours}"]
                journal.append([ended(f"a{hours}", now), ended(f"b{hours}", now)], now)
        journal.append([ended("last", now)], now)
        assert ids(folder) == sorted([*written, "last"]), faults.hit
        journal.close()
        os.close(folder)
        if not faults.hit:
            return


@pytest.mark.parametrize("kept", [0, 1, 40, 200, 500])
@pytest.mark.parametrize("next_day", [False, True])
def test_lines_that_were_written_in_part_are_written_again(
    kept: int, next_day: bool, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a write that fails leaves behind (it may be half a line) takes none of the next lines with it."""
    journal = Journal(folder)
    journal.append([ended("a")], NOON)
    written = os.write

    def some(file: int, data: bytes) -> int:
        if kept and data[:kept]:
            written(file, data[:kept])
        raise OSError(errno.EIO, "broken")

    for id in "bcd":
        monkeypatch.setattr(os, "write", some)
        journal.append([ended(id), ended(id + id)], NOON)
        monkeypatch.undo()
    later = NOON + timedelta(days=next_day)
    journal.append([ended("e", later)], later)
    assert ids(folder) == ["a", "b", "bb", "c", "cc", "d", "dd", "e"]
    journal.close()


def test_a_disk_that_stays_broken_is_said_once_and_lines_go_out_at_the_end(
    folder: int, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(folder)
    with failing(0, errno.EIO, every=True):
        for id in "abc":
            journal.append([ended(id)], NOON)
    assert ids(folder) == []
    journal.close(NOON)
    assert ids(folder) == ["a", "b", "c"]
    assert [record.getMessage() for record in caplog.records] == [
        "cannot write to the journal (Input/output error); what is missing is written later"
    ]


def test_threads_that_share_a_journal_lose_no_line(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(folder)
    original = Journal.file_of

    def slowly(self: Journal, now: datetime) -> int:
        switch.wait(0.001)
        return original(self, now)

    switch = threading.Event()
    monkeypatch.setattr(Journal, "file_of", slowly)

    def append(name: int) -> None:
        for number in range(20):
            journal.append([ended(f"{name}-{number}")], NOON)

    threads = [threading.Thread(target=append, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids(folder)) == 160
    journal.close()


@pytest.mark.parametrize("number", ERRORS, ids=lambda number: errno.errorcode[number])
def test_a_journal_that_cannot_be_written_keeps_no_job_from_finishing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "q", durability="relaxed")
    owner = spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=NOON))
    spool.put([job(f"j{n}") for n in range(6)])

    def refused(now: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(spool.journal, "file_of", refused)
    claims = spool.claim(owner, limit=6)
    runs = [(claim, complete(claim.job, 1, Run(owner, claim.claimed_at, NOON))) for claim in claims]
    assert spool.apply(runs[:3]) == [True] * 3
    assert spool.apply(runs[3:]) == [True] * 3
    assert spool.counts()[Status.DONE] == 6
    assert not list(spool.attempts())
    monkeypatch.undo()
    spool.close()
    with_it = Spool(tmp_path / "q")
    assert sorted(entry.job for entry in with_it.attempts()) == [f"j{n}" for n in range(6)]
    with_it.close()
