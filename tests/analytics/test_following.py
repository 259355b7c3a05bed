"""What a frame may be done to, what a reader who follows sees, and what the next process finds ready."""

from __future__ import annotations

import gc
import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobqueue import Queue, analytics
from jobqueue.analytics import following, history, saved, tables
from jobqueue.analytics.growing import Growing
from jobqueue.errors import InvalidJob, InvalidTime
from jobqueue.testing import FakeClock

from . import reference

START = datetime(2026, 11, 22, tzinfo=timezone.utc)


def line(number: int, /, seconds: float | None = None, **fields: Any) -> bytes:
    at = START + timedelta(seconds=number if seconds is None else seconds)
    entry = {
        "job": f"10-20261122T{number:012d}-00000000",
        "type": ["scan", "score"][number % 2],
        "number": 1,
        "outcome": "done",
        "project": f"p{number % 3}",
        "subject": f"octo/cat-{number}",
        "claimed_at": (at - timedelta(seconds=1)).isoformat(),
        "finished_at": at.isoformat(),
        "wait_ms": 5.5,
        "run_ms": 1000,
        "metrics": {"tokens": number},
    }
    return json.dumps(entry | fields).encode() + b"\n"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", durability="relaxed", clock=FakeClock(START + timedelta(hours=1))) as made:
        yield made


@pytest.fixture
def write(queue: Queue) -> Callable[..., Path]:
    def append(*lines: bytes, name: str = "20261122-0") -> Path:
        path = Path(queue.store.url) / ".jobqueue" / "journal" / f"{name}.jsonl"
        with path.open("ab") as stream:
            stream.writelines(lines)
        return path

    return append


def told(queue: Queue) -> list[int]:
    return [int(job[12:24]) for job in analytics.attempts(queue)["job"]]


# -- what a user writes stays with the user


def test_what_is_written_to_a_frame_never_reaches_another(queue: Queue, write: Callable[..., Path]) -> None:
    write(*(line(n) for n in range(10)))
    before = analytics.attempts(queue).copy()
    mine = analytics.attempts(queue)
    for value, column in (
        (99, "attempt"),
        (pd.Timestamp.now("UTC"), "finished_at"),
        ("mine", "subject"),
        (1.5, "metrics.tokens"),
    ):
        mine.loc[3, column] = value
    mine.loc[3, ["type", "clock_jump"]] = ["score", True]
    mine["new"] = 1
    pd.testing.assert_frame_equal(analytics.attempts(queue), before)


def test_an_old_frame_can_be_written_to_and_stays_apart_too(queue: Queue, write: Callable[..., Path]) -> None:
    """Its rows are the very memory of the newer one, so the write must go into a copy."""
    write(*(line(n) for n in range(10)))
    old, whole = analytics.attempts(queue), analytics.attempts(queue)
    part = whole.iloc[2:5]
    del whole
    for n in range(10, 14):
        write(line(n))
        analytics.attempts(queue)
    old.loc[3, "attempt"] = 99
    part.loc[3, "clock_jump"] = True
    old.loc[3, "finished_at"] = pd.Timestamp(START)
    new = analytics.attempts(queue)
    assert new["attempt"].tolist() == [1] * 14
    assert not new["clock_jump"].any()
    assert new["finished_at"].iloc[3] == START + timedelta(seconds=3)
    assert (old["attempt"].iloc[3], len(old), part["clock_jump"].sum()) == (99, 10, 1)


def test_an_old_frame_that_nobody_else_has_can_be_written_to(queue: Queue, write: Callable[..., Path]) -> None:
    write(line(0), line(1))
    old = analytics.attempts(queue)
    write(line(2))
    assert told(queue) == [0, 1, 2]
    gc.collect()
    old.iloc[0, old.columns.get_loc("attempt")] = 99
    old.iloc[1, old.columns.get_loc("finished_at")] = pd.Timestamp(START)
    assert analytics.attempts(queue)["attempt"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("column", "value"), [("attempt", 5), ("finished_at", pd.Timestamp(START)), ("clock_jump", True)])
def test_an_array_of_a_frame_cannot_be_written_to(queue: Queue, write: Callable[..., Path], column: str, value: Any) -> None:
    """pandas has nothing to say about a write by this door."""
    write(line(0))
    with pytest.raises(ValueError, match="read-only"):
        analytics.attempts(queue)[column].array[0] = value


def test_a_frame_stays_as_it_was_when_rows_come_before_its_own(queue: Queue, write: Callable[..., Path]) -> None:
    write(*(line(n) for n in range(0, 40, 2)))
    assert len(told(queue)) == 20
    write(line(40))  # now there is room for as many again
    old = analytics.attempts(queue)
    copy = old.copy()
    write(*(line(n) for n in range(1, 20, 2)), name="20261122-1")
    assert told(queue) == sorted([*range(0, 42, 2), *range(1, 20, 2)])
    pd.testing.assert_frame_equal(old, copy)


def test_new_rows_are_added_without_a_copy_of_the_old_ones(queue: Queue, write: Callable[..., Path]) -> None:
    write(*(line(n) for n in range(1000)))
    analytics.attempts(queue)
    buffer = history.history_of(queue.store).attempts.rows.columns["finished_at"].buffer  # type: ignore[attr-defined]
    write(line(1000))
    analytics.attempts(queue)  # the room doubles
    place = buffer.data.ctypes.data
    write(*(line(n) for n in range(1001, 1100)))
    frame = analytics.attempts(queue)
    assert buffer.data.ctypes.data == place
    assert np.shares_memory(frame["finished_at"].array._ndarray, buffer.data)
    write(line(1050, job="late"))
    del frame
    assert told_jobs(queue)[1051] == "late"
    assert buffer.data.ctypes.data == place  # nobody looked at what had to move


def told_jobs(queue: Queue) -> list[str]:
    return analytics.attempts(queue)["job"].tolist()


# -- following


def test_only_what_is_new_is_read(queue: Queue, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write(*(line(n) for n in range(100)))
    assert told(queue) == list(range(100))
    read: list[int] = []
    whole = history.read_lines
    monkeypatch.setattr(history, "read_lines", lambda engine, data: (read.append(len(data)), whole(engine, data))[1])
    path = write(line(100))
    assert told(queue) == list(range(101))
    assert told(queue) == list(range(101))
    assert read == [len(line(100))]
    Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert told(queue) == list(range(101))  # packed: the same lines under another name
    path.unlink()
    write(line(101), name="20261123-0")
    assert told(queue) == list(range(102))
    assert read == [len(line(100)), len(line(101))]


def test_a_torn_line_waits_for_its_end(queue: Queue, write: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    first, second = line(0), line(1)
    write(first, second[:50])
    assert told(queue) == [0]
    write(second[50:-1])
    assert told(queue) == [0, 1]  # whole, but for the end of the line
    write(b"\n", line(2)[:30], b"\n", line(3))
    assert told(queue) == [0, 1, 3]
    assert analytics.skipped(queue).to_dict("records") == [
        {"file": "20261122-0.jsonl", "lines": 1, "first": 4, "why": analytics.skipped(queue)["why"].iloc[0]}
    ]
    assert sum("is skipped" in record.getMessage() for record in caplog.records) == 1


def test_a_last_line_that_was_whole_and_goes_on_is_another(queue: Queue, write: Callable[..., Path]) -> None:
    write(line(0), line(1)[:-1])
    assert told(queue) == [0, 1]
    write(b"and more\n", line(2))
    assert told(queue) == [0, 2]
    assert analytics.skipped(queue)["lines"].tolist() == [1]


def test_a_file_is_named_once_however_many_lines_it_spoils(
    queue: Queue, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(5):
        write(line(n, number="1"), b"\0\0\n", line(n + 10))
        frame = analytics.attempts(queue)
    assert (len(frame), frame.attrs["skipped"]) == (5, 10)
    path = Path(queue.store.url) / ".jobqueue/journal/20261122-0.jsonl"
    path.write_bytes(path.read_bytes()[:-1])  # all is read anew
    assert analytics.attempts(queue).attrs["skipped"] == 10
    (record,) = [record for record in caplog.records if "is skipped" in record.getMessage()]
    assert "20261122-0.jsonl: line 1 is skipped: Expected `int`, got `str` - at `$.number`" in record.getMessage()


def test_a_hand_edit_of_the_same_length_is_seen(queue: Queue, write: Callable[..., Path]) -> None:
    path = write(line(1), line(2))
    assert told(queue) == [1, 2]
    before = path.stat()
    path.write_bytes(line(3) + line(4))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert told(queue) == [3, 4]


def test_a_queue_that_many_threads_look_at(queue: Queue, write: Callable[..., Path]) -> None:
    lengths: list[list[int]] = [[] for _ in range(4)]
    done = threading.Event()

    def look(into: list[int]) -> None:
        while not done.is_set():
            frame = analytics.attempts(queue)
            assert frame["finished_at"].is_monotonic_increasing
            into.append(len(frame))

    threads = [threading.Thread(target=look, args=(into,)) for into in lengths]
    for thread in threads:
        thread.start()
    for n in range(60):
        write(line(n, seconds=(n * 37) % 60))
    done.set()
    for thread in threads:
        thread.join()
    assert all(seen == sorted(seen) for seen in lengths)
    assert len(analytics.attempts(queue)) == 60


def test_the_same_hash_is_no_double_where_the_entries_differ(
    queue: Queue, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tables.Seen.again

    def all_meet(self: tables.Seen, hashes: Any) -> Any:
        hashes[:] = 7
        return again(self, hashes)

    monkeypatch.setattr(tables.Seen, "again", lambda self, hashes: all_meet(self, hashes.copy()))
    monkeypatch.setattr(tables, "within", lambda ordered, values: np.ones(len(values), np.bool_))
    write(line(0), line(1), line(0))
    assert told(queue) == [0, 1]
    write(line(1), line(2))
    assert told(queue) == [0, 1, 2]


def test_ten_thousand_names_of_metrics_cost_a_hundred_columns(
    queue: Queue, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    write(*(line(n, metrics={"tokens": 1, f"name-{n}": n}) for n in range(1000)))
    frame = analytics.attempts(queue)
    names = [name for name in frame if name.startswith("metrics.")]
    assert (len(names), frame["metrics.tokens"].sum()) == (tables.MOST_METRICS, 1000)
    assert frame.attrs["metrics_left_out"] == 901
    assert "more than 100 names" in caplog.text


# -- ranges and filters


def test_a_time_range(queue: Queue, write: Callable[..., Path]) -> None:
    write(*(line(n) for n in range(10)), line(10, finished_at=None))
    at = [START + timedelta(seconds=n) for n in range(12)]
    assert len(analytics.attempts(queue)) == 11
    for frame, expected in (
        (analytics.attempts(queue, since=at[3], until=at[6]), [3, 4, 5]),
        (analytics.attempts(queue, since="59m55s"), [5, 6, 7, 8, 9]),
        (analytics.attempts(queue, older_than="59m57s"), [0, 1, 2]),
        (analytics.attempts(queue, until=at[11]), list(range(10))),
        (analytics.attempts(queue, since=at[6], until=at[3]), []),
        (analytics.attempts(queue, since=at[11]), []),
    ):
        assert frame["metrics.tokens"].tolist() == expected
        assert list(frame.index) == list(range(len(expected)))
        assert dict(frame.dtypes) == dict(analytics.attempts(queue).dtypes)


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_naive_time_is_refused_with_the_fix(queue: Queue, name: str) -> None:
    with pytest.raises(InvalidTime, match=rf"{name}: 2026-11-22T00:00:00 has no time zone; write datetime.now\(timezone.utc\)"):
        analytics.attempts(queue, **{name: datetime(2026, 11, 22)})


def test_filters(queue: Queue, write: Callable[..., Path]) -> None:
    write(*(line(n) for n in range(6)), line(6, outcome="failed", error={"type": "ValueError", "message": "Row 7 is odd"}))
    for filters, expected in (
        ({"type": "scan"}, [0, 2, 4, 6]),
        ({"type": ["scan", "score"], "project": "p0"}, [0, 3, 6]),
        ({"outcome": "failed"}, [6]),
        ({"reason": "error", "error_type": "ValueError"}, [6]),
        ({"subject": "octo/cat-3"}, [3]),
        ({"text": "row 7"}, [6]),
        ({"text": "SCORE"}, [1, 3, 5]),
        ({"type": None, "project": "p9"}, []),
    ):
        assert analytics.attempts(queue, **filters)["metrics.tokens"].tolist() == expected


@pytest.mark.parametrize(("name", "said"), [("tag", "analytics.jobs"), ("tpye", "not a filter of attempts")])
def test_a_filter_that_the_journal_cannot_answer_is_refused(queue: Queue, name: str, said: str) -> None:
    with pytest.raises(InvalidJob, match=said):
        analytics.attempts(queue, **{name: "x"})


def test_a_clock_that_was_put_back_is_kept_and_flagged(queue: Queue, write: Callable[..., Path]) -> None:
    back = (START - timedelta(hours=1)).isoformat()
    write(line(0, wait_ms=-3), line(1, run_ms=-1), line(2, finished_at=back, run_ms=7), line(3))
    frame = analytics.attempts(queue).set_index("metrics.tokens").sort_index()
    assert frame["clock_jump"].tolist() == [True, True, True, False]
    assert frame["wait"].iloc[0] == pd.Timedelta(milliseconds=-3)


# -- for the next process

READ = """
import sys, json
from jobqueue import Queue, analytics
from jobqueue.analytics import history
history.MUCH = 1
read = []
whole = history.read_lines
history.read_lines = lambda engine, data: (read.append(len(data)), whole(engine, data))[1]
queue = Queue(sys.argv[1])
frame = analytics.attempts(queue)
rest = [len(analytics.items(queue)), len(analytics.skipped(queue))]
print(json.dumps([sum(read), len(frame), frame["metrics.tokens"].sum(), *rest]))
"""
ITEM = b'{"what":"item","job":"a","type":"t","track":"i","key":"k","metrics":{"x":2}}\n'


def other_process(queue: Queue) -> list[float]:
    """What another process reads (bytes), and sees."""
    done = subprocess.run([sys.executable, "-c", READ, queue.store.url], capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout)
    return found


def cache_of(queue: Queue) -> Path:
    return Path(queue.store.url) / ".jobqueue" / "cache"


def test_the_next_process_reads_only_what_is_new(queue: Queue, write: Callable[..., Path]) -> None:
    path = write(*(line(n) for n in range(50)), ITEM, b"torn\n")
    write(*(line(n) for n in range(50, 60)), name="20261122-1")
    expected = [60, sum(range(60)), 1, 1]
    assert other_process(queue)[1:] == expected
    assert other_process(queue) == [0, *expected]
    assert (cache_of(queue).stat().st_mode & 0o777, *(p.stat().st_mode & 0o777 for p in cache_of(queue).iterdir())) == (
        0o700,
        0o600,
    )
    write(line(60))
    assert other_process(queue) == [len(line(60)), 61, sum(range(61)), 1, 1]
    assert other_process(queue) == [0, 61, sum(range(61)), 1, 1]  # two files of the cache, one after the other
    Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert other_process(queue)[1:] == [61, sum(range(61)), 1, 1]
    (path.parent / "20261122-1.jsonl").unlink()
    assert other_process(queue)[1:] == [51, sum(range(50)) + 60, 1, 1]
    shutil.rmtree(cache_of(queue))
    assert other_process(queue)[1:] == [51, sum(range(50)) + 60, 1, 1]


@pytest.mark.parametrize("how", ["cut", "turned", "foreign", "empty", "link", "folder", "version"])
def test_a_cache_that_is_torn_or_foreign_is_made_anew(
    queue: Queue, write: Callable[..., Path], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*(line(n) for n in range(50)))
    expected = [50, sum(range(50)), 0, 0]
    assert other_process(queue)[1:] == expected
    (kept,) = cache_of(queue).iterdir()
    data = kept.read_bytes()
    if how in ("link", "folder", "version"):
        kept.unlink()
    if how == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        kept.symlink_to(tmp_path / "elsewhere")
    elif how == "folder":
        kept.mkdir()
    elif how == "version":
        monkeypatch.setattr(saved, "VERSION", "0")
        monkeypatch.setattr(history, "MUCH", 1)
        analytics.attempts(queue)
        keeping = history.history_of(queue.store).keeping
        assert keeping is not None
        keeping.join()
        assert kept.exists()
    else:
        middle = len(data) // 2
        turned = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        kept.write_bytes({"cut": data[:-7], "turned": turned, "foreign": b"mine", "empty": b""}[how])
    read, *seen = other_process(queue)
    assert read > 0
    assert seen == expected


def test_a_journal_file_that_was_written_anew_is_not_taken_from_the_cache(queue: Queue, write: Callable[..., Path]) -> None:
    path = write(*(line(n) for n in range(50)))
    assert other_process(queue)[1] == 50
    path.write_bytes(b"".join(line(n) for n in range(100, 160)))
    assert other_process(queue)[1:3] == [60, sum(range(100, 160))]
    path.write_bytes(b"".join(line(n) for n in range(200, 260)))  # of the same size
    assert other_process(queue)[1:3] == [60, sum(range(200, 260))]


def test_a_queue_that_may_only_be_read_goes_without(queue: Queue, write: Callable[..., Path]) -> None:
    write(*(line(n) for n in range(50)))
    cache = queue.store.cache
    assert cache is not None
    cache_of(queue).write_text("in the way")
    assert (cache.names(), cache.read("x"), cache.write("x", [b"x"])) == ([], None, False)
    assert other_process(queue)[1] == 50
    assert not [name for name in os.listdir(Path(queue.store.url) / ".jobqueue" / "tmp") if name.startswith("cache")]


def test_large_readings_are_read_in_chunks_by_several_threads(
    queue: Queue, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MUCH", 1)
    monkeypatch.setattr(following, "CHUNK", 1000)
    monkeypatch.setattr(following, "LONGEST", 3000)
    lines = [line(n) for n in range(60)] + [b"x" * 10_000 + b"\n", line(60), line(61)[:-1]]
    path = write(*lines)
    Path(f"{path.parent}/20261121-0.jsonl.gz").write_bytes(gzip.compress(b"".join(line(n) for n in range(100, 160)))[:-20])
    expected = reference.attempts(queue.store.journal_lines())
    frame = analytics.attempts(queue)
    assert frame["job"].tolist() == expected["job"].tolist()
    assert len(frame) > 62
    assert set(analytics.skipped(queue)["file"]) == {"20261121-0.jsonl", "20261122-0.jsonl"}


def test_a_packed_file_is_as_large_as_what_it_holds(
    queue: Queue, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(*(line(n) for n in range(500)))
    packed, large = Path(f"{path}.gz"), path.stat().st_size
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    pools: list[int] = []

    class Pool(history.ThreadPoolExecutor):
        def __init__(self, threads: int) -> None:
            pools.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(history, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(history, "MUCH", large)
    assert packed.stat().st_size < large / 4
    assert told(queue) == list(range(500))
    assert len(pools) == 1, "one thread alone reads what is much, once it is packed"


def test_growing_keeps_rows_without_a_time_at_the_end() -> None:
    import pyarrow as pa

    rows = Growing({"at": "datetime64[us, UTC]", "n": "int32"}, "at")
    for times in ([5, None, 3], [4], [None, 1], [9]):
        at = pa.chunked_array([pa.array(times, pa.timestamp("us", "UTC"))])
        rows.append({"at": at, "n": pa.chunked_array([pa.array([t or 0 for t in times])])})
    assert rows.columns["n"].array().tolist() == [1, 3, 4, 5, 9, 0, 0]
