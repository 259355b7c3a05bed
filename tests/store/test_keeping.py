"""The journal is kept: full files, packing, retention; whatever happens in between, every attempt is read once."""

from __future__ import annotations

import fcntl
import gzip
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from jobqueue.model.entry import AttemptEntry, attempt_entry
from jobqueue.model.job import Attempt, Job
from jobqueue.store import files, keeping
from jobqueue.store import journal as module
from jobqueue.store.commit import Scratch
from jobqueue.store.journal import Journal
from jobqueue.store.keeping import Keeping

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
LATER = NOW + timedelta(days=4)
FIRST = "20261122-0.jsonl"


class Stopped(BaseException):
    """The process ends here."""


def ended(id: str, at: datetime = NOW) -> AttemptEntry:
    attempt = Attempt(number=1, outcome="done", worker="w", claimed_at=at - timedelta(seconds=1), finished_at=at)
    return attempt_entry(Job(id=id, type="scan", created_at=at), attempt)


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path / "journal"
        self.tmp = path / "tmp"
        for folder in (self.path, self.tmp):
            folder.mkdir()
        self.fds = [os.open(folder, os.O_RDONLY) for folder in (self.path, self.tmp)]
        self.journal = self.writer()

    def writer(self) -> Journal:
        return Journal(self.fds[0])

    def fill(self, *ids: str, at: datetime = NOW) -> None:
        self.journal.append([ended(id, at) for id in ids], at)

    def keep(self, now: datetime = LATER, age: float | None = None, *, dry_run: bool = False) -> Counter[tuple[str, str]]:
        made = Keeping(self.journal, Scratch(self.fds[1], True)).keep(now, age, dry_run=dry_run)
        return Counter((kept.change, kept.name) for kept in made if kept is not None)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir())

    def jobs(self, since: datetime | None = None) -> list[str]:
        return [entry.job for entry in self.writer().attempts(since)]

    def lines(self) -> int:
        return len(list(self.writer().lines()))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()
    for fd in made.fds:
        os.close(fd)


# -- full files, and clocks


def test_a_full_file_is_followed_by_the_next_free_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    for number in range(40):
        bench.fill(f"j{number:02}", at=NOW + timedelta(seconds=number))
    bench.journal.close()
    bench.fill("after", at=NOW + timedelta(minutes=1))

    assert len(bench.names()) > 5
    assert max(path.stat().st_size for path in bench.path.iterdir()) < 1500
    assert bench.jobs() == [*(f"j{number:02}" for number in range(40)), "after"]


def test_where_the_clock_was_put_back_what_is_new_is_still_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking back from the end of a file is right only where its times rise."""
    from jobqueue.store import journal_lines

    monkeypatch.setattr(journal_lines, "TAIL", 1000)
    for minute in range(60):
        bench.fill(f"late{minute:02}", at=NOW + timedelta(minutes=minute))
    for minute in range(60):  # two hours back
        bench.fill(f"early{minute:02}", at=NOW + timedelta(minutes=minute - 120))
    bench.journal.close()
    bench.fill("taken-over", at=NOW - timedelta(minutes=59))

    assert bench.names() == ["20261122-0.jsonl", "20261122-1.jsonl"]
    expected = [f"late{minute:02}" for minute in range(30, 60)]
    assert bench.jobs(NOW + timedelta(minutes=30)) == expected


def test_late_lines_among_later_ones_hide_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rescuer writes what a dead worker had recorded an hour ago, and an attempt brings items that are older than it."""
    from jobqueue.store import journal_lines

    monkeypatch.setattr(journal_lines, "TAIL", 4000)
    for minute in range(60):
        bench.fill(f"j{minute:02}", at=NOW + timedelta(minutes=minute))
    bench.journal.append([ended("rescued", NOW - timedelta(hours=1))], NOW + timedelta(minutes=60))
    item = b'{"what":"item","job":"x","type":"scan","track":"items","key":"%d","at":"2026-11-22T09:00:00Z"}\n'
    with (bench.path / FIRST).open("ab") as stream:
        stream.writelines(item % number for number in range(400))

    assert bench.jobs(NOW + timedelta(minutes=40)) == [f"j{minute:02}" for minute in range(40, 60)]


def test_an_attempt_that_ended_a_moment_before_the_clock_went_back_over_midnight_is_found(bench: Bench) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=timezone.utc)
    bench.journal.append([ended("a", midnight + timedelta(seconds=1))], midnight - timedelta(seconds=5))

    assert bench.jobs(midnight) == ["a"]


@pytest.mark.parametrize("since", [datetime.min, datetime.max])
def test_the_edges_of_time_may_be_asked_for(bench: Bench, since: datetime) -> None:
    bench.fill("a")
    assert bench.jobs(since.replace(tzinfo=timezone.utc)) == (["a"] if since == datetime.min else [])


# -- packing


def test_a_file_of_a_day_that_is_over_is_packed_byte_for_byte(bench: Bench) -> None:
    bench.fill(*(f"j{number:04}" for number in range(3000)))
    bench.fill("today", at=LATER)
    plain = (bench.path / FIRST).read_bytes() + b'{"torn'
    (bench.path / FIRST).write_bytes(plain)

    assert bench.keep() == {("packed", FIRST): 1}

    assert bench.names() == [FIRST + ".gz", "20261126-0.jsonl"]
    assert gzip.decompress((bench.path / (FIRST + ".gz")).read_bytes()) == plain
    assert (bench.path / (FIRST + ".gz")).stat().st_mode & 0o777 == 0o600
    assert len(bench.jobs()) == 3001
    assert list(bench.tmp.iterdir()) == []
    assert bench.keep() == {}


def test_for_two_days_a_file_stays_plain(bench: Bench) -> None:
    bench.fill("a")
    bench.journal.close()
    assert bench.keep(datetime(2026, 11, 24, 23, 59, tzinfo=timezone.utc)) == {}
    assert bench.keep(datetime(2026, 11, 25, 0, 0, tzinfo=timezone.utc)) == {("packed", FIRST): 1}


def test_a_file_that_somebody_writes_is_left_alone(bench: Bench) -> None:
    bench.fill("a")
    assert bench.keep(age=0.0) == {}
    assert bench.keep() == {}
    bench.journal.close()
    assert bench.keep() == {("packed", FIRST): 1}


def test_a_reader_in_the_middle_of_a_file_goes_on(bench: Bench) -> None:
    bench.fill(*(f"j{number:05}" for number in range(5000)))
    bench.journal.close()
    lines = bench.writer().lines()
    first = next(lines)

    bench.keep()

    assert 1 + sum(1 for _ in lines) == 5000
    assert first != b""


def test_a_file_that_is_packed_between_listing_and_opening_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.fill("a", "b")
    bench.journal.close()
    reader = bench.writer()
    listed = reader.names()
    bench.keep()
    monkeypatch.setattr(reader, "names", lambda since=None: listed)

    assert [entry.job for entry in reader.attempts()] == ["a", "b"]


def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(bench: Bench) -> None:
    """The process ends before each step that changes the disk, one after the other; then another one does the work."""
    stops = 0
    for at in range(100):
        for path in (*bench.path.iterdir(), *bench.tmp.iterdir()):
            path.unlink()
        bench.fill(*(f"j{number:04}" for number in range(2000)))
        bench.journal.close()
        steps = iter(range(1000))

        def probe(name: str, steps: Iterator[int] = steps, at: int = at) -> None:
            if next(steps) == at:
                raise Stopped

        files.probe = probe
        try:
            bench.keep()
        except Stopped:
            stops += 1
        finally:
            files.probe = None
        assert bench.lines() == 2000, at
        bench.fill("late")  # a writer whose clock was put back, before anybody has cleared up
        bench.journal.close()
        assert sorted(bench.jobs()) == [*(f"j{number:04}" for number in range(2000)), "late"], at
        for _ in range(2):
            bench.keep()
        assert sorted(bench.jobs()) == [*(f"j{number:04}" for number in range(2000)), "late"], at
        assert all(name.endswith(".gz") for name in bench.names()), at
        if next(steps) <= at:
            break
    assert stops >= 6


def test_a_writer_never_takes_a_name_that_is_packed(bench: Bench) -> None:
    """Behind the packed one nobody would read it."""
    bench.fill("a")
    bench.journal.close()
    bench.keep()
    bench.fill("b")
    assert bench.names() == [FIRST + ".gz", "20261122-1.jsonl"]
    assert sorted(bench.jobs()) == ["a", "b"]


def test_two_files_that_differ_are_both_read_in_the_end(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.fill("a")
    bench.journal.close()
    other = msgspec.json.encode(ended("b")) + b"\n"
    (bench.path / (FIRST + ".gz")).write_bytes(gzip.compress(other))

    bench.keep()

    assert sorted(bench.jobs()) == ["a", "b"]
    assert "from now on" in caplog.text


def test_a_packed_file_that_cannot_be_right_is_not_believed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that gives back other bytes than it was given: the plain file stays."""
    bench.fill("a", "b")
    bench.journal.close()
    monkeypatch.setattr(files, "write_all", lambda file, data: os.write(file, bytes(len(data))))
    bench.keep()
    monkeypatch.undo()
    assert bench.names() == [FIRST]
    assert bench.jobs() == ["a", "b"]


def test_packing_goes_in_steps(bench: Bench) -> None:
    """How long a step takes is measured in tests/benchmarks; here, that none does more than its part."""
    bench.fill(*(f"j{number:05}" for number in range(5000)))
    bench.journal.close()
    size = (bench.path / FIRST).stat().st_size

    steps = sum(1 for _ in Keeping(bench.journal, Scratch(bench.fds[1], True)).keep(LATER))

    assert steps >= 2 * size // keeping.AT_ONCE


# -- retention


def test_what_is_too_old_goes_and_a_rehearsal_says_so(bench: Bench) -> None:
    for day in range(5):
        bench.fill(f"j{day}", at=NOW + timedelta(days=day))
    bench.journal.close()
    bench.keep(NOW + timedelta(days=4))
    before = bench.names()
    expected = {("removed", FIRST + ".gz"): 1, ("removed", "20261123-0.jsonl.gz"): 1}
    now = NOW + timedelta(days=4)

    assert bench.keep(now, 2 * 86400, dry_run=True) == expected
    assert bench.names() == before
    assert bench.keep(now, 2 * 86400) == expected
    assert bench.jobs() == ["j2", "j3", "j4"]


def test_what_is_no_file_of_the_journal_is_left_alone(bench: Bench) -> None:
    for name in ("notes.jsonl", "20269999-0.jsonl", "20201122-0.jsonl.bak", "2020-1-1.jsonl"):
        (bench.path / name).write_text("mine\n")
    (bench.path / "20201122-0.jsonl").mkdir()
    os.mkfifo(bench.path / "20201122-1.jsonl")
    (bench.path / "20201122-2.jsonl").symlink_to(bench.path / "notes.jsonl")
    before = bench.names()
    bench.keep(age=0.0)
    bench.keep()
    assert bench.names() == before
    assert (bench.path / "notes.jsonl").read_text() == "mine\n"


def test_a_lock_that_another_process_holds_is_what_counts(bench: Bench) -> None:
    bench.fill("a")
    bench.journal.close()
    with (bench.path / FIRST).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert bench.keep() == {}
        assert bench.keep(age=0.0) == {}
    assert bench.keep(age=0.0) == {("removed", FIRST): 1}


def test_the_sweep_goes_in_steps(tmp_path: Path) -> None:
    """Emptying the trash after a large purge holds up no worker."""
    from jobqueue.store.spool import Spool
    from jobqueue.store.sweep import STEP, sweep_old

    spool = Spool(tmp_path / "q", durability="relaxed")
    trash = tmp_path / "q" / ".jobqueue" / "trash"
    for number in range(10 * STEP):
        (trash / f"{number}.json").touch()
    while time.time() - max(path.stat().st_ctime for path in trash.iterdir()) <= 0:
        pass

    steps = list(sweep_old(spool.folder.fds["trash"], 0.0))

    assert sum(steps) == 10 * STEP
    assert max(steps) <= STEP
    assert list(trash.iterdir()) == []
    spool.close()
