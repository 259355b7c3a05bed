"""A frame goes in, a frame comes out: with real workers, in other processes, while others do the same."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue import JobContext, Queue, Worker, handler
from jobqueue.errors import InvalidJob, JobNotFound
from jobqueue.model.transition import Run, complete
from jobqueue.queue.frame import FrameBatch
from jobqueue.store.base import WorkerInfo

DAYS = pd.date_range("2026-10-24", periods=3, tz="Europe/Berlin", name="day")
FRAME = pd.DataFrame({"a": [1, 2, 0], "b": pd.Series(["x", None, "z"], dtype="str").to_numpy()}, index=DAYS)


@handler(type="score")
def score(a: int, b: str | None = None) -> dict[str, Any]:
    return {"half": 10 / a, "twice": 2 * a, "b": b}


@handler(type="redone")
def redone(a: int, b: str | None, ctx: JobContext) -> dict[str, Any]:
    redo_of = ctx.job.redo_of or {}
    return {"a": a, "columns": redo_of.get("columns"), "row": redo_of.get("row")}


@pytest.fixture(params=["folder", "memory"])
def queue(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Queue]:
    with Queue(tmp_path / "q" if request.param == "folder" else ":memory:", durability="relaxed") as made:
        yield made


def run(queue: Queue) -> None:
    Worker(queue, [score, redone]).run(drain=True)


def put(queue: Queue, frame: pd.DataFrame = FRAME, what: Any = "score", **options: Any) -> FrameBatch:
    return queue.enqueue_frame(frame, what, max_attempts=1, **options)


# -- in and out


def test_a_row_is_a_job_and_its_result_is_in_that_row(queue: Queue) -> None:
    batch = put(queue, project="p1")
    assert [job.payload for job in batch] == [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 0, "b": "z"}]
    assert {(job.type, job.project, job.batch) for job in batch} == {("score", "p1", batch.name)}
    assert batch.name.startswith("score-20")
    assert (batch.id, batch.ids, batch.superseded) == (batch[0].id, [job.id for job in batch], 0)
    assert batch.message == f"3 jobs in the batch '{batch.name}'"
    before = batch.results()
    assert list(before.columns) == ["job", "status", "result", "reason", "error_type", "error"]
    assert list(before["status"]) == ["pending"] * 3
    assert before["result"].isna().all()

    run(queue)

    found = batch.results(spread=True)
    pd.testing.assert_index_equal(found.index, DAYS, check_freq=False)
    assert list(found.columns) == ["job", "status", "half", "twice", "b", "reason", "error_type", "error"]
    assert list(found["status"]) == ["done", "done", "failed"]
    assert (found["half"].tolist()[:2], found["twice"].dtype) == ([10.0, 5.0], "Int64")
    assert found["half"].isna().tolist() == [False, False, True]
    assert (found["error_type"].iloc[2], found["error"].iloc[2]) == ("ZeroDivisionError", "division by zero")
    errors = batch.errors()
    assert list(errors["job"]) == [batch[2].id]
    assert errors.index[0] == DAYS[2]


def test_what_went_in_stands_beside_what_came_out(queue: Queue) -> None:
    frame = pd.DataFrame({"a": [1, 2], "status": ["open", "shut"]}, index=["k", "k"])
    whole = put(queue, frame).frame
    assert list(whole.columns[:4]) == ["a", "status", "job", "job.status"]
    assert list(whole.index) == ["k", "k"]
    assert whole["a"].tolist() == [1, 2]


def test_a_batch_without_rows_has_the_right_columns(queue: Queue) -> None:
    batch = put(queue, FRAME.iloc[:0])
    assert (len(batch), batch.id, batch.progress.percent) == (0, None, 100.0)
    assert list(batch.results().columns) == ["job", "status", "result", "reason", "error_type", "error"]
    assert list(batch.errors().columns) == ["job", "reason", "error_type", "error"]
    assert (len(batch.cancel()), len(batch.retry()), len(batch.redo())) == (0, 0, 0)


def test_progress_is_live_with_and_without_a_call(queue: Queue) -> None:
    batch = put(queue)
    assert (batch.progress.percent, batch.progress().pending) == (0.0, 3)
    run(queue)
    assert (float(batch.progress), batch.progress.failed) == (100.0, 1)
    assert repr(batch.progress).startswith("100 % of 3 jobs (2 done, 1 failed)")
    assert batch.name in repr(batch)
    assert "<progress" in batch._repr_mimebundle_()["text/html"]


def test_a_handler_is_checked_once_and_for_each_row(queue: Queue) -> None:
    if queue.store.url == ":memory:":
        assert [job.type for job in put(queue, FRAME, score)] == ["score"] * 3
    with pytest.raises(InvalidJob, match="no argument 'c'"):
        put(queue, FRAME.rename(columns={"b": "c"}), score)
    with pytest.raises(InvalidJob, match="missing argument 'a'"):
        put(queue, FRAME, score, columns=["b"])
    with pytest.raises(InvalidJob, match=r"row 1: score: payload.a: expected int, got str"):
        put(queue, pd.DataFrame({"a": [1, "two"]}), score)


def test_what_cannot_be_enqueued_leaves_nothing_behind(queue: Queue) -> None:
    put(queue, batch="b1")
    for frame, options, why in (
        (pd.DataFrame({"a": [1, {2}]}), {}, "row 1, column 'a'"),
        ([1, 2], {}, "a list is not a DataFrame"),
        (FRAME, {"id": "x"}, "id: one id cannot be given to many jobs"),
        (FRAME, {"idempotency_key": "k"}, "idempotency_key: one key cannot be given to many jobs; give True"),
        (FRAME, {"colour": "red"}, "colour: not an option"),
        (pd.DataFrame({"a": [1]}, index=[b"x"]), {}, "index: b'x', a bytes, cannot be kept"),
    ):
        with pytest.raises(InvalidJob, match=why):
            queue.enqueue_frame(frame, "score", batch="b1", **options)
    assert (queue.stats().pending, queue.stats().failed) == (3, 0)


def test_options_are_those_of_enqueue(queue: Queue) -> None:
    batch = queue.with_options(project="p1", tags=["t"]).enqueue_frame(FRAME, "score", priority="high", delay="1h", batch="b1")
    assert {(job.priority, job.project, job.tags, job.batch) for job in batch} == {(5, "p1", ("t",), "b1")}
    assert len({job.run_after for job in batch}) == 1
    keyed = queue.enqueue_frame(FRAME, "score", idempotency_key=True)
    again = queue.enqueue_frame(FRAME, "score", idempotency_key=True)
    assert (again.ids, {job.outcome for job in again}) == (keyed.ids, {"exists"})


# -- again


def test_a_redo_repeats_chosen_rows_and_columns(queue: Queue) -> None:
    batch = put(queue, what="redone", project="p1", tags=["t"])
    run(queue)
    first = batch[1]

    made = batch.redo(rows=[1], columns=["columns", "row"], payload={"a": 50})

    (job,) = made
    assert (job.type, job.priority, job.project, job.batch, job.tags) == ("redone", 5, "p1", batch.name, ("t",))
    assert job.payload == {"a": 50, "b": None}
    assert job.record.redo_of == {"batch": batch.name, "row": 1, "job": first.id, "columns": ["columns", "row"]}
    assert batch.results()["result"].tolist()[1] == {"a": 2}  # what is redone is not known any more, the rest is
    assert batch[1].id == job.id
    run(queue)
    found = batch.results()
    assert found["job"].tolist()[1] == job.id
    assert found["result"].tolist()[1] == {"a": 2, "columns": ["columns", "row"], "row": 1}
    assert found["result"].tolist()[0] == {"a": 1, "columns": None, "row": None}


def test_a_redo_of_whole_rows_shows_the_newest_run(queue: Queue) -> None:
    batch = put(queue)
    run(queue)
    batch.redo(batch.errors(), payload={"a": 5})
    assert list(batch.results()["status"]) == ["done", "done", "pending"]
    run(queue)
    assert batch.results()["result"].tolist()[2] == {"half": 2.0, "twice": 10, "b": "z"}
    assert len(batch.errors()) == 0


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [(None, [0, 1, 2]), (2, [2]), ([2, 0, 2], [2, 0]), (FRAME["a"] > 1, [1]), (pd.Series([0, 1]), [0, 1]), ([], [])],
)
def test_rows_are_numbers_or_a_mask(queue: Queue, rows: Any, numbers: list[int]) -> None:
    batch = put(queue)
    assert [job.record.redo_of["row"] for job in batch.redo(rows)] == numbers


@pytest.mark.parametrize("rows", [[3], [-1], ["a"], [1.0], [True], pd.DataFrame({"id": ["10-x"]})])
def test_rows_that_are_not_there_are_refused(queue: Queue, rows: Any) -> None:
    batch = put(queue)
    with pytest.raises(InvalidJob, match="^rows: "):
        batch.redo(rows)
    assert queue.stats().pending == 3


def test_a_redo_while_the_first_run_goes_on(queue: Queue) -> None:
    batch = put(queue, what="redone", batch="b1")
    owner = queue.store.join(WorkerInfo(owner="w", host="here", pid=1, started_at=queue.clock.now()))
    (claim,) = queue.store.claim(owner)
    (job,) = batch.redo(rows=[0], payload={"a": 99})
    assert claim.job.id == batch.runs[0][0].id
    run(queue)  # the second run is over before the first
    now = queue.clock.now()
    assert queue.store.apply([(claim, complete(claim.job, {"a": "late"}, Run(owner, now, now)))]) == [True]
    for seen in (batch, queue.batch("b1")):
        assert isinstance(seen, FrameBatch)
        assert seen.results()["job"].tolist()[0] == job.id
        assert seen.results()["result"].tolist()[0]["a"] == 99
    queue.store.leave(owner)


def test_cancel_and_retry_of_a_batch(queue: Queue) -> None:
    batch = put(queue)
    batch.redo(rows=[0])
    cancelled = batch.cancel()
    assert (len(cancelled), queue.stats().pending) == (4, 0)
    assert cancelled.batches_reset == [batch.name]
    assert len(batch.retry()) == 3
    run(queue)
    assert list(batch.results()["status"]) == ["done", "done", "failed"]


def test_results_outlive_a_purge_as_long_as_the_trash_is_kept(queue: Queue) -> None:
    batch = put(queue)
    run(queue)
    queue.purge(batch=batch.name)
    found = batch.results()
    assert list(found["status"]) == ["gone", "gone", "failed"]
    assert found["result"].tolist()[0]["twice"] == 2


# -- the same name again


def test_a_frame_enqueued_again_takes_the_place_of_the_earlier_run(queue: Queue) -> None:
    first = put(queue, FRAME, project="p1", batch="b1")
    other = put(queue, FRAME, project="p2", batch="b1")
    second = put(queue, FRAME.iloc[:2], project="p1", batch="b1")
    assert second.superseded == 3
    assert second.message == "2 jobs in the batch 'b1', 3 unfinished jobs of an earlier run cancelled"
    assert {job.status.value for job in first} == {"failed"}
    assert {job.status.value for job in other} == {"pending"}
    third = put(queue, FRAME, project="p1", batch="b1", supersede=False)
    assert (third.superseded, queue.stats(project="p1").pending) == (0, 5)
    run(queue)
    pd.testing.assert_index_equal(queue.batch("b1").results().index, DAYS, check_freq=False)  # type: ignore[attr-defined]


def test_a_batch_found_by_name_is_the_newest_run(queue: Queue) -> None:
    put(queue, FRAME, batch="b1")
    put(queue, FRAME.iloc[:1], batch="b1")
    found = queue.batch("b1")
    assert isinstance(found, FrameBatch)
    assert len(found.results()) == 1
    queue.enqueue("score", {"a": 1}, batch="b2", row="what somebody else wrote")
    assert not isinstance(queue.batch("b2"), FrameBatch)
    with pytest.raises(JobNotFound):
        queue.batch("b3")


# -- other processes

RESTARTED = """
import sys
import pandas as pd
from jobqueue import Queue
batch = Queue(sys.argv[1]).batch(sys.argv[2])
batch.results(spread=True).to_pickle(sys.argv[3])
batch.redo(rows=[0], columns=["half"])
print(batch.progress.pending, len(batch.runs[0]))
"""


def test_after_a_restart_results_have_the_index_that_went_in(tmp_path: Path) -> None:
    frame = FRAME.set_index(pd.MultiIndex.from_arrays([DAYS, ["k", "k", None]], names=["day", None]))
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        batch = put(queue, frame)
        run(queue)
        command = [sys.executable, "-c", RESTARTED, str(tmp_path / "q"), batch.name, str(tmp_path / "found")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.split() == ["1", "2"]
        found = pd.read_pickle(tmp_path / "found")
        pd.testing.assert_frame_equal(found, batch.results(spread=True))
        pd.testing.assert_index_equal(found.index, frame.index, check_freq=False)
        assert list(queue.batch(batch.name).results()["status"]) == ["pending", "done", "failed"]  # type: ignore[attr-defined]


PRODUCER = """
import os, sys
import pandas as pd
from jobqueue import Queue
queue = Queue(sys.argv[1], durability="relaxed")
frame = pd.DataFrame({"a": range(40)}, index=[f"{sys.argv[2]}-{n}" for n in range(40)])
print("ready", flush=True)
sys.stdin.readline()
superseded = 0
for round in range(5):
    superseded += queue.enqueue_frame(frame, "score", project="p1", batch="b1").superseded
print(superseded)
"""


def test_of_producers_at_once_the_jobs_of_exactly_one_are_left(tmp_path: Path) -> None:
    Queue(tmp_path / "q", durability="relaxed").close()
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PRODUCER), str(tmp_path / "q")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": {**os.environ}}
    producers = [subprocess.Popen([*command, name], **pipes) for name in ("one", "two", "three")]
    try:
        for producer in producers:
            assert producer.stdout.readline() == "ready\n"
        answers = [producer.stdin.write("go\n") and producer.stdin.flush() for producer in producers]
        assert answers == [None] * 3
        ended = sum(int(producer.communicate(timeout=100)[0]) for producer in producers)
    finally:
        for producer in producers:
            producer.kill()
            producer.wait()
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        left = queue.jobs("pending", limit=None)
        assert len({job.record.row["run"] for job in left}) == 1
        assert sorted(job.record.row["number"] for job in left) == list(range(40))
        assert (len(left), ended, queue.stats().cancelled) == (40, 14 * 40, 14 * 40)
        found = queue.batch("b1")
        assert isinstance(found, FrameBatch)
        assert found.ids == [job.id for job in left]
        assert len({label.partition("-")[0] for label in found.results().index}) == 1
        assert os.listdir(tmp_path / "q" / ".jobqueue" / "limits") == []


HANDLERS = """
from jobqueue import handler

@handler
def double(n: int, at: str | None = None) -> dict:
    if n == 13:
        raise ValueError("thirteen")
    return {"n": 2 * n, "at": at}
"""


def test_worker_processes_fill_the_frame(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    frame = pd.DataFrame({"n": range(60)}, index=pd.Index(range(100, 160), name="id"))
    frame["at"] = pd.date_range("2026-11-22", periods=60, freq="h", tz="UTC").where(frame["n"].to_numpy() % 2 == 0)
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        batch = queue.enqueue_frame(frame, "double", max_attempts=1)
        command = [sys.executable, "-m", "jobqueue.worker", "--queue", "q", "--handlers", "handlers.py", "--drain"]
        workers = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) for _ in range(2)]
        try:
            batch.wait("100s")
        finally:
            for worker in workers:
                worker.terminate()
                worker.wait(60)
        found = batch.results(spread=True)
    assert found.index.equals(frame.index)
    assert list(found["status"].value_counts().items()) == [("done", 59), ("failed", 1)]
    assert found["n"].drop(113).tolist() == [2 * n for n in range(60) if n != 13]
    assert found["at"].loc[102] == "2026-11-22T02:00:00+00:00"
    assert found["at"].isna().sum() == 30
    assert found.loc[113, "error"] == "thirteen"


# -- values, all the way through a file and a handler

cells = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@handler(type="echo")
def echo(x: Any) -> Any:
    return x


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(cells | st.lists(cells, max_size=2), st.text(max_size=3)), min_size=1, max_size=5))
def test_what_a_handler_echoes_is_what_the_frame_held(rows: list[tuple[Any, str]]) -> None:
    values, index = [value for value, _ in rows], pd.Index([label for _, label in rows], dtype="str", name="key")
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object).to_numpy()}, index=index)
    with Queue(":memory:") as queue:
        queue.enqueue_frame(frame, "echo", batch="b1")
        Worker(queue, [echo]).run(drain=True)
        found = queue.batch("b1").results()  # type: ignore[call-overload]
    pd.testing.assert_index_equal(found.index, index)
    for got, value in zip(found["result"], values, strict=True):
        assert pd.isna(got) if value is None else got == value


@pytest.mark.slow
def test_a_hundred_thousand_rows_go_in_and_come_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(100_000)}, index=pd.Index([f"key-{n}" for n in range(100_000)], name="key"))
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        batch = queue.enqueue_frame(frame, "score", batch="b1")
        assert (len(batch), batch.progress.pending) == (100_000, 100_000)
        again = queue.batch("b1")
        assert isinstance(again, FrameBatch)
        assert again.results().index.equals(frame.index)
        plan = queue.cancel(again.results(), dry_run=True)
        assert len(plan) == 100_000
        done = plan.apply()
        assert (len(done), queue.stats().cancelled) == (100_000, 100_000)
        assert len(done.undo()) == 100_000
        assert queue.stats().pending == 100_000


def test_a_plan_that_is_applied_while_workers_run_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    frame = pd.DataFrame({"n": range(100, 400)})
    command = [sys.executable, "-m", "jobqueue.worker", "--queue", "q", "--handlers", "handlers.py", "--executor", "inline"]
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        batch = queue.enqueue_frame(frame, "double", batch="b1")
        plan = queue.cancel(batch.results(), dry_run=True)
        assert len(plan) == 300
        workers = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) for _ in range(2)]
        try:
            next(batch.as_completed("100s"))  # they are at it
            done = plan.apply()
            assert sorted([*done.ids, *done.refused]) == sorted(batch.ids)
            assert done.cancelling == []  # what began since the rehearsal goes on
            batch.wait("100s")
            results = batch.results()
            cancelled = results["job"][results["reason"] == "cancelled"]
            assert sorted(cancelled) == sorted(done.ids)
            assert set(results["job"][results["status"] == "done"]) == set(done.refused)

            back = done.undo()

            assert (sorted(back.ids), back.refused) == (sorted(done.ids), {})
            batch.wait("100s")
        finally:
            for worker in workers:
                worker.terminate()
                worker.wait(60)
        whole = batch.results(spread=True)
        assert whole["n"].tolist() == [2 * n for n in range(100, 400)]
        assert {len(job.history) for job in batch} == {0}  # each ran once
