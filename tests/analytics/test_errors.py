"""Failures in groups, from what real workers left."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from jobqueue import Queue, Worker, analytics, handler
from jobqueue.errors import InvalidJob, InvalidTime

warnings.simplefilter("ignore")
BAD = {"on": True}


@handler(pipeline_version="v1")
def reads(n: int) -> None:
    if BAD["on"]:
        parse(n)


def parse(n: int) -> None:
    raise ValueError(f"row {n} of '/data/{n}.csv' <script>alert({n})</script>")


PLACE = f"analytics/test_errors.py:{parse.__code__.co_firstlineno + 1} in parse"


@handler
def looks(key: str) -> None:
    raise KeyError(key)


@pytest.fixture(params=["folder", "memory"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    BAD["on"] = True
    made = Queue(":memory:" if request.param == "memory" else tmp_path / "q", durability="relaxed")
    for n in range(3):
        made.enqueue("reads", {"n": n}, max_attempts=2 if n == 0 else 1, backoff=0)
    made.enqueue("looks", {"key": "a"}, max_attempts=1)
    Worker(made, [reads, looks]).run(drain=True)
    yield made
    made.store.close()


def test_like_failures_are_one_group(queue: Queue) -> None:
    found = analytics.errors(queue)
    assert [(group.type, group.count, len(group.jobs)) for group in found] == [("ValueError", 4, 3), ("KeyError", 1, 1)]
    first = found[0]
    assert first.message == "row <n> of '…' <script>alert(<n>)<<path>>"
    assert (first.reason, first.types, first.versions, len(first.workers)) == ("error", ["reads"], ["v1"], 1)
    assert first.first_seen < first.last_seen
    assert first.example == first.jobs[0]
    assert queue.get(first.example).record.error.message == first.sample  # type: ignore[union-attr]
    assert first.place == PLACE
    assert found[1].place is not None
    assert found[1].place.endswith("in looks")


def test_a_group_is_retried(queue: Queue) -> None:
    first = analytics.errors(queue)[0]
    assert sorted(first) == sorted(first.jobs)
    BAD["on"] = False
    assert len(queue.retry(first)) == 3
    assert list(first) == []  # they are pending now
    assert len(queue.retry(first)) == 0
    Worker(queue, [reads, looks]).run(drain=True)
    assert queue.stats().done == 3


def test_jobs_that_failed_otherwise_later_or_were_cancelled_are_not_retried(queue: Queue) -> None:
    first = analytics.errors(queue)[0]
    cancelled, purged, other = first.jobs
    queue.retry(cancelled)
    queue.cancel(cancelled)
    queue.purge([purged])

    @handler(type="reads")
    def differently(n: int) -> None:
        raise OSError("disk full")

    queue.retry(other)
    Worker(queue, [differently]).run(drain=True)
    again = analytics.errors(queue)
    by_type = {group.type: group for group in again}
    assert by_type["ValueError"].count == 4
    assert list(by_type["ValueError"]) == []
    assert list(by_type["OSError"]) == [other]


def test_purging_takes_the_traceback_and_no_count(queue: Queue) -> None:
    before = analytics.errors(queue).frame
    queue.purge(status="failed")
    found = analytics.errors(queue)
    pd.testing.assert_frame_equal(found.frame, before)
    assert (found[0].place, found[0].traceback, list(found[0])) == (None, None, [])
    assert found[0].sample in str(found[0])


def test_only_a_part_of_them(queue: Queue) -> None:
    assert len(analytics.errors(queue, type="looks")) == 1
    assert len(analytics.errors(queue, type=["looks", "reads"], since="1h")) == 2
    assert len(analytics.errors(queue, until="1h")) == 0
    with pytest.raises(InvalidJob, match="did you mean 'type'"):
        analytics.errors(queue, typ="looks")
    with pytest.raises(InvalidTime, match="has no time zone; write"):
        analytics.errors(queue, since=datetime(2026, 1, 1))


def test_how_it_is_shown(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    found = analytics.errors(queue)
    assert repr(found).startswith("<Errors: 5 failures in 2 groups>")
    assert PLACE in repr(found)
    page = found._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    found[0].show()
    said = capsys.readouterr().out
    assert "Traceback (most recent call last)" in said
    assert "4 times in 3 jobs" in said
    assert "1 time in 1 job," in str(found[1])
    assert repr(found[0]).startswith("<ErrorGroup 4 x ValueError: row <n> of")
    assert list(found.frame["count"]) == [4, 1]
    assert found[:1][0].count == 4


def test_no_failure(tmp_path: Path) -> None:
    with Queue(tmp_path / "q") as queue:
        found = analytics.errors(queue)
        assert (len(found), bool(found), repr(found), len(found.frame)) == (0, False, "<Errors: none>", 0)
        assert "count" in found.frame
        assert "<table" in found._repr_html_()


def test_hostile_text_is_inert(tmp_path: Path) -> None:
    @handler(type="x\x1b[31m")
    def hostile() -> None:
        raise ValueError("\x1b]0;title\x07 \u202e<b>bold</b>")

    with Queue(tmp_path / "q", durability="relaxed") as queue:
        queue.enqueue("x\x1b[31m", max_attempts=1)
        Worker(queue, [hostile]).run(drain=True)
        found = analytics.errors(queue)
        measured = analytics.metrics(queue, by="type")
        shown = (repr(found), repr(found[0]), str(found[0]), found._repr_html_(), repr(measured), measured._repr_html_())
        for text in shown:
            assert "\x1b" not in text
            assert "\u202e" not in text
        assert "<b>" not in found._repr_html_()


def test_a_process_that_dies_is_a_crash(tmp_path: Path) -> None:
    """Real processes: a worker, and a handler that kills the one it runs in."""
    (tmp_path / "handlers.py").write_text(
        "import os, signal\nfrom jobqueue import handler\n\n@handler\ndef dies(n: int) -> None:\n"
        "    print(n)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with Queue(tmp_path / "q") as queue:
        for n in range(2):
            queue.enqueue("dies", {"n": n}, max_attempts=2, max_crashes=2, backoff=0)
        command = [sys.executable, "-m", "jobqueue", "-q", "q", "worker", "--handlers", "handlers.py", "--drain"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert ran.returncode == 0, ran.stderr
        found = analytics.metrics(queue, by="type")
        assert (found.count, found.failed, found.attempts, found.crashes, found.retries) == (2, 2, 4, 4, 2)
        assert (found.success_rate, found.run_avg) == (0.0, None)
        assert found.wait_avg is not None
        (group,) = analytics.errors(queue)
        assert (group.reason, group.count, len(list(group))) == ("crashed", 4, 2)


def test_a_job_that_failed_in_two_ways_shows_each_in_its_group(tmp_path: Path) -> None:
    @handler(type="twice")
    def first() -> None:
        raise ValueError("no")

    @handler(type="twice")
    def second() -> None:
        raise OSError("disk full")

    with Queue(tmp_path / "q", durability="relaxed") as queue:
        id = queue.enqueue("twice", max_attempts=1).id
        Worker(queue, [first]).run(drain=True)
        queue.retry(id)
        Worker(queue, [second]).run(drain=True)
        places = {group.type: (group.traceback or "", group.place or "") for group in analytics.errors(queue)}
    assert "ValueError: no" in places["ValueError"][0]
    assert places["ValueError"][1].endswith("in first")
    assert "OSError: disk full" in places["OSError"][0]
    assert places["OSError"][1].endswith("in second")
