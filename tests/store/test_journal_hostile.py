"""Whatever lies in the folder of the journal: skipped, counted, never a crash, never a hang, bounded memory."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.model.entry import EventEntry, attempt_entry
from jobqueue.model.job import Attempt, Job
from jobqueue.queue.config import Config
from jobqueue.store.journal import Journal

NOW = datetime.now(timezone.utc)
TODAY = f"{NOW:%Y%m%d}"
MEASURE = """
import resource, sys, os, time
from jobqueue.store.journal import Journal
journal = Journal(os.open(sys.argv[1], os.O_RDONLY))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = [entry.job for entry in journal.attempts()]
print(len(found), sum(1 for _ in journal.lines()), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def entry(id: str) -> object:
    return attempt_entry(Job(id=id, type="scan"), Attempt(number=1, outcome="done", claimed_at=NOW, finished_at=NOW))


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", config=Config(durability="relaxed")) as made:
        yield made


@pytest.fixture
def folder(queue: Queue, tmp_path: Path) -> Path:
    return tmp_path / "q" / ".jobqueue" / "journal"


def make_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket has room for 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


STRAYS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a FIFO": lambda path: os.mkfifo(path),
    "a symlink": lambda path: path.symlink_to("/etc/passwd"),
    "a symlink to nothing": lambda path: path.symlink_to("nowhere"),
    "a socket": make_socket,
}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("kind", STRAYS)
def test_what_is_no_file_is_neither_read_nor_written(queue: Queue, folder: Path, kind: str, ending: str) -> None:
    """A pipe in the place of the file would take 64 KiB, and then hold up every worker."""
    STRAYS[kind](folder / f"{TODAY}-0{ending}")

    for number in range(3):
        queue.enqueue("scan", {"n": number})
    queue.store.journal.append([entry("a")], datetime.now(timezone.utc))

    assert [attempt.job for attempt in queue.store.attempts()] == ["a"]
    assert [attempt.job for attempt in queue.store.attempts(since=NOW)] == ["a"]
    assert sum(b'"enqueue"' in line for line in queue.store.journal_lines()) == 3
    found = [finding for finding in queue.check() if finding.what == "stray in the journal"]
    assert [kind.removesuffix(" to nothing") in finding.found for finding in found] == [True]


TORN = {
    "cut off": b'{"job":"b","type":"scan","numb\n',
    "NUL bytes": b"\0" * 5000 + b"\n",
    "no UTF-8": b"\xff\xfe\xfd\n",
    "other JSON": b'[1,2]\nnull\n7\n"x"\n',
    "a naive time": b'{"job":"b","type":"scan","number":1,"outcome":"done","finished_at":"2026-11-22T12:00:00"}\n',
    "a text for a number": b'{"job":"b","type":"scan","number":"1","outcome":"done"}\n',
    "an impossible time": b'{"job":"b","type":"scan","number":1,"outcome":"done","finished_at":"2026-13-45T99:00:00Z"}\n',
    "too deep": b'{"job":' + b"[" * 100_000 + b"\n",
    "a number without end": b'{"job":"b","type":"scan","number":' + b"9" * 100_000 + b',"outcome":"done"}\n',
}


@pytest.mark.parametrize("kind", TORN)
def test_a_line_that_is_no_entry_is_skipped_and_counted(queue: Queue, folder: Path, kind: str) -> None:
    queue.store.journal.append([entry("a")], NOW)
    with (folder / f"{TODAY}-0.jsonl").open("ab") as stream:
        stream.write(TORN[kind])
    queue.store.journal.append([entry("c")], NOW)

    assert [attempt.job for attempt in queue.store.attempts()] == ["a", "c"]
    assert [attempt.job for attempt in queue.store.attempts(since=NOW)] == ["a", "c"]
    (finding,) = [finding for finding in queue.check() if finding.what == "torn journal lines"]
    count = TORN[kind].count(b"\n")
    assert f"{count} of {count + 2} lines cannot be read" in finding.found
    assert f"{TODAY}-0.jsonl" in finding.found


@pytest.mark.parametrize("filler", [b"x", b"\0", b" "])
def test_an_endless_line_costs_no_memory(queue: Queue, folder: Path, filler: bytes) -> None:
    """A hundred megabytes without a line end, in a process of its own whose memory is measured."""
    queue.store.journal.append([entry("a")], NOW)
    with (folder / f"{TODAY}-0.jsonl").open("ab") as stream:
        for _ in range(100):
            stream.write(filler * (1 << 20))
        stream.write(b"\n")
    queue.store.journal.append([entry("b")], NOW)

    ran = subprocess.run([sys.executable, "-c", MEASURE, folder], capture_output=True, text=True, timeout=100)

    attempts, lines, megabytes = map(int, ran.stdout.split())
    assert (attempts, lines) == (2, 3), ran.stderr
    assert megabytes < 40
    assert "1 of 3 lines" in " ".join(finding.found for finding in queue.check())


def test_a_small_packed_file_without_end_costs_neither_memory_nor_hours(queue: Queue, folder: Path) -> None:
    """Twelve gigabytes of zeros in 12 MB: after a quarter of the first it is enough."""
    part = gzip.compress(bytes(1 << 26))
    (folder / "20201122-0.jsonl.gz").write_bytes(part * 12 * 16)
    queue.store.journal.append([entry("a")], NOW)

    ran = subprocess.run([sys.executable, "-c", MEASURE, folder], capture_output=True, text=True, timeout=100)

    attempts, _, megabytes = map(int, ran.stdout.split())
    assert attempts == 1, ran.stderr
    assert megabytes < 40


def test_a_damaged_archive_is_told(queue: Queue, folder: Path) -> None:
    lines = b"".join(b'{"what":"purge","at":"2020-11-22T12:00:00Z","count":%d}\n' % number for number in range(20_000))
    packed = gzip.compress(lines)
    (folder / "20201122-0.jsonl.gz").write_bytes(packed[: len(packed) // 2])

    assert "damaged" in " ".join(finding.found for finding in queue.check())
    assert 1000 < len(list(queue.store.journal_lines())) < 20_000


def test_a_file_that_is_not_ours_to_write_is_passed_by(queue: Queue, folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    (folder / f"{TODAY}-0.jsonl").touch(mode=0)
    queue.store.journal.append([entry("a")], NOW)
    assert [attempt.job for attempt in queue.store.attempts()] == ["a"]


def test_an_event_of_an_earlier_version_is_an_entry(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    journal = Journal(opened)
    journal.append([EventEntry(what="pause", at=NOW)], NOW)
    assert len(list(journal.lines())) == 1
    journal.close()
    os.close(opened)
