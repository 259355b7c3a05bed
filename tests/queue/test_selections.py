"""Which jobs a verb is about: any frame, query or list with ids; and what it answers with, a plan that can be carried out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jobqueue import Queue, Worker, analytics, handler
from jobqueue.errors import InvalidJob
from jobqueue.queue.choosing import ids_of
from jobqueue.store.base import WorkerInfo
from jobqueue.testing import FakeClock

IDS = ["10-a", "10-b"]


@handler
def halve(n: int) -> float:
    if n == 0:
        raise ValueError("nothing to halve")
    return n / 2


@pytest.fixture(params=["folder", "memory"])
def queue(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Queue]:
    with Queue(tmp_path / "q" if request.param == "folder" else ":memory:", durability="relaxed") as made:
        yield made


def enqueued(queue: Queue, *numbers: int, **options: Any) -> list[str]:
    return queue.enqueue_many("halve", [{"n": n} for n in numbers], max_attempts=1, **options).ids


def run(queue: Queue) -> None:
    Worker(queue, [halve]).run(drain=True)


# -- what names jobs


@pytest.mark.parametrize(
    "selection",
    [
        IDS,
        tuple(IDS),
        iter(IDS),
        dict.fromkeys(IDS),
        np.array(IDS),
        [*IDS, *IDS],
        pd.Series(IDS),
        pd.Series(IDS, name="job", index=pd.Index(["x", "y"], name="id")),
        pd.Series([1, 2], index=pd.Index(IDS, name="id")),
        pd.Index(IDS),
        pd.DataFrame({"id": IDS, "type": "scan"}),
        pd.DataFrame({"id": [1, 2], "job": IDS}),
        pd.DataFrame({"job": pd.Categorical([*IDS, IDS[0]])}),
        pd.DataFrame({"n": [1, 2]}, index=pd.Index(IDS, name="job")),
        pd.DataFrame({"n": [1, 2]}, index=pd.MultiIndex.from_tuples([("p", "10-a"), ("p", "10-b")], names=["project", "id"])),
        pa.table({"id": IDS, "n": [1, 2]}),
        duckdb.sql("select * from (values ('10-a', 1), ('10-b', 2)) as t(id, n)"),
        pd.DataFrame({"id": IDS}).query("id in ['10-a', '10-b']"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_jobs_are_named_by_anything_that_has_ids(selection: Any) -> None:
    assert ids_of(selection) == IDS


def test_a_frame_without_ids_is_refused_with_its_columns(queue: Queue) -> None:
    frame = pd.DataFrame({"commit": ["a"], "n": [1]})
    with pytest.raises(InvalidJob, match=r"no column 'id' or 'job' .* \(its columns: 'commit', 'n'\)"):
        queue.retry(frame)
    with pytest.raises(InvalidJob, match="df.rename"):
        queue.cancel(frame)


@pytest.mark.parametrize("value", [float("nan"), None, 7, True])
def test_what_is_no_id_is_refused_by_its_number(queue: Queue, value: Any) -> None:
    with pytest.raises(InvalidJob, match="jobs: number 1 is .*, not the id of a job"):
        queue.purge(pd.DataFrame({"id": pd.Series(["10-a", value], dtype=object)}))
    with pytest.raises(InvalidJob, match="a int names no jobs"):
        queue.purge(7)


def test_a_query_over_all_jobs_is_retried(queue: Queue) -> None:
    enqueued(queue, 0, 1, 0)
    run(queue)
    bad = analytics.jobs(queue).query("type == 'halve' and error_type == 'ValueError'")

    assert str(queue.retry(bad["id"], dry_run=True)) == "2 jobs would be retried"
    assert str(queue.retry(bad)) == "2 jobs retried"
    assert queue.stats().pending == 2


def test_attempts_name_each_job_once(queue: Queue) -> None:
    ids = enqueued(queue, 0)
    run(queue)
    queue.retry(ids)
    run(queue)
    frame = analytics.attempts(queue)
    assert len(frame) == 2

    assert str(queue.retry(frame)) == "1 job retried"


def test_what_is_not_there_is_told_as_missing(queue: Queue) -> None:
    ids = enqueued(queue, 0)
    run(queue)

    bulk = queue.retry(pd.DataFrame({"id": ["10-nobody", *ids]}))

    assert (bulk.ids, list(bulk.refused)) == (ids, ["10-nobody"])
    assert "no job '10-nobody' in this queue" in bulk.refused["10-nobody"]
    assert bulk.counts == {"changed": 1, "cancelling": 0, "refused": 0, "missing": 1}
    assert [(row.id, row.status, row.what) for row in bulk.rows] == [
        ("10-nobody", None, "missing"),
        (ids[0], "pending", "retried"),
    ]


# -- the plan


def test_a_rehearsal_changes_nothing_and_says_everything(queue: Queue) -> None:
    good, bad = enqueued(queue, 1, 0)
    run(queue)
    waiting = enqueued(queue, 2)[0]

    plan = queue.retry([good, bad, waiting], dry_run=True)

    assert queue.stats().pending == 1
    assert [(row.id, row.type, row.status, row.what) for row in plan.rows] == [
        (good, "halve", "done", "would be retried"),
        (bad, "halve", "failed", "would be retried"),
        (waiting, "halve", "pending", "refused"),
    ]
    assert "cannot be changed by retry" in plan.rows[2].why
    frame = plan.frame
    assert list(frame.columns) == ["id", "type", "status", "what", "why"]
    assert list(frame["id"]) == [good, bad, waiting]
    assert queue.retry(frame, dry_run=True).ids == [good, bad]


def test_a_plan_is_applied_once_and_to_exactly_its_jobs(queue: Queue) -> None:
    enqueued(queue, 0, 0)
    run(queue)
    plan = queue.retry(type="halve", dry_run=True)
    enqueued(queue, 0)
    run(queue)

    done = plan.apply()

    assert (done.ids, done.dry_run, str(done)) == (plan.ids, False, "2 jobs retried")
    assert queue.stats().pending == 2
    with pytest.raises(InvalidJob, match="this retry was applied already; begin again with queue.retry"):
        plan.apply()
    with pytest.raises(InvalidJob, match="was no rehearsal"):
        done.apply()


def test_what_changed_since_the_rehearsal_is_refused(queue: Queue) -> None:
    first, second = enqueued(queue, 0, 0)
    run(queue)
    retry, purge = queue.retry([first, second], dry_run=True), queue.purge([first, second], dry_run=True)
    queue.retry(second)
    run(queue)

    assert purge.apply().ids == [first]
    assert queue.restore(first).ids == [first]
    done = retry.apply()

    assert (done.ids, list(done.refused)) == ([first], [second])
    assert "has changed since it was looked at" in done.refused[second]
    assert queue.get(second).status == "failed"


def test_a_filter_is_looked_at_again_when_a_plan_is_applied(tmp_path: Path) -> None:
    clock = FakeClock()
    with Queue(tmp_path / "q", durability="relaxed", clock=clock) as queue:
        ids = enqueued(queue, 0, 0)
        run(queue)
        clock.advance("8d")
        plan = queue.purge(status="failed", older_than="7d", dry_run=True)
        queue.retry(ids[0])
        run(queue)
        assert (plan.ids, plan.apply().ids) == (ids, ids[1:])


def test_a_delay_counts_from_when_the_plan_is_applied(tmp_path: Path) -> None:
    clock = FakeClock()
    with Queue(tmp_path / "q", durability="relaxed", clock=clock) as queue:
        ids = enqueued(queue, 0)
        run(queue)
        plan = queue.retry(ids, delay="10m", dry_run=True)
        clock.advance("1h")
        plan.apply()
        due = queue.get(ids[0]).run_after
        assert due is not None
        assert (due - clock.now()).total_seconds() == 600


def test_a_rehearsed_restore(queue: Queue) -> None:
    ids = enqueued(queue, 1, 2)
    run(queue)
    queue.purge()
    plan = queue.restore([*ids, "10-nobody"], dry_run=True)
    assert (plan.ids, list(plan.refused), queue.stats().done) == (ids, ["10-nobody"], 0)
    assert plan.apply().ids == ids
    assert queue.stats().done == 2


# -- the undo


def test_a_purge_can_be_undone(queue: Queue) -> None:
    ids = enqueued(queue, 1, 0)
    run(queue)
    purged = queue.purge(status=["done", "failed"])
    assert len(purged) == 2

    assert sorted(purged.undo().ids) == sorted(ids)
    assert (queue.stats().done, queue.stats().failed) == (1, 1)
    with pytest.raises(InvalidJob, match="this purge was undone already"):
        purged.undo()


def test_the_cancel_of_what_had_not_begun_can_be_undone(queue: Queue) -> None:
    ids = enqueued(queue, 2, 4, delay="1h", priority="high")
    before = [queue.get(id).record for id in ids]
    cancelled = queue.cancel(type="halve")
    assert queue.stats().failed == 2

    back = cancelled.undo()

    assert (back.ids, str(back)) == (ids, "2 jobs restored")
    after = [queue.get(id).record for id in ids]
    for field in ("run_after", "priority", "attempts", "history", "error", "payload", "created_at"):
        assert [getattr(job, field) for job in after] == [getattr(job, field) for job in before]


def test_what_ran_or_went_on_since_is_not_uncancelled(queue: Queue) -> None:
    running, retried = enqueued(queue, 1), enqueued(queue, 2)
    owner = queue.store.join(WorkerInfo(owner="w", host="here", pid=1, started_at=queue.clock.now()))
    queue.store.claim(owner)
    cancelled = queue.cancel([*running, *retried])
    assert (cancelled.cancelling, cancelled.ids) == (running, retried)
    queue.retry(retried)

    back = cancelled.undo()

    assert (back.ids, sorted(back.refused)) == ([], sorted([*running, *retried]))
    assert "was running when it was cancelled" in back.refused[running[0]]
    assert queue.get(retried[0]).status == "pending"
    queue.store.leave(owner)


def test_what_cannot_be_undone_says_what_to_do(queue: Queue) -> None:
    ids = enqueued(queue, 0)
    run(queue)
    with pytest.raises(InvalidJob, match=r"a retry cannot be taken back; cancel those that still wait: queue.cancel\(bulk\)"):
        queue.retry(ids).undo()
    with pytest.raises(InvalidJob, match="nothing was done yet"):
        queue.cancel(ids, dry_run=True).undo()


# -- batches


def test_a_batch_whose_jobs_are_all_cancelled_is_reset(queue: Queue) -> None:
    enqueued(queue, 1, batch="b1", project="p1")
    run(queue)
    enqueued(queue, 2, batch="b1", project="p1")
    enqueued(queue, 3, 4, batch="b2", project="p1")
    enqueued(queue, 5, batch="b3", project="p2")

    plan = queue.cancel(project="p1", dry_run=True)
    assert (plan.batches_reset, len(plan)) == (["b2"], 3)
    done = plan.apply()

    assert (len(done), done.batches_reset) == (3, ["b2"])
    assert done.message == "3 jobs cancelled, 1 batch reset"
    assert queue.stats(project="p2").pending == 1


def test_several_batches_are_cancelled_by_their_names(queue: Queue) -> None:
    for name in ("b1", "b2", "b3"):
        enqueued(queue, 1, batch=name, project="p1")
    done = queue.cancel(project="p1", batch=["b1", "b3"])
    assert (len(done), done.batches_reset, queue.stats().pending) == (2, ["b1", "b3"], 1)


def test_a_batch_that_is_enqueued_again_takes_the_place_of_what_is_unfinished(queue: Queue) -> None:
    enqueued(queue, 1, batch="b1", project="p1")
    run(queue)
    enqueued(queue, 2, 3, batch="b1", project="p1")
    enqueued(queue, 4, batch="b1", project="p2")

    made = queue.enqueue_many("halve", [{"n": 5}], batch="b1", project="p1", supersede=True)

    assert (made.superseded, made.id, made.ids) == (2, made[0].id, [made[0].id])
    assert made.message == "1 job in the batch 'b1', 2 unfinished jobs of an earlier run cancelled"
    assert sorted(job.payload["n"] for job in queue.jobs("pending")) == [4, 5]
    assert all("superseded by a new run" in (job.error.message if job.error else "") for job in queue.jobs("failed"))


# -- how it looks


def test_a_plan_is_a_table_with_counts(queue: Queue) -> None:
    ids = enqueued(queue, *range(30))
    html = queue.cancel([*ids, "<script>"], dry_run=True)._repr_html_()
    assert html.startswith("<p>30 jobs would be cancelled, 1 refused (")
    assert "<script>" not in html
    assert html.count("<tr>") == 21
    assert "and 11 more" in html


def test_a_rehearsed_cancel_tells_what_would_be_asked_to_stop(queue: Queue) -> None:
    enqueued(queue, 1, 2)
    owner = queue.store.join(WorkerInfo(owner="w", host="here", pid=1, started_at=queue.clock.now()))
    queue.store.claim(owner)
    plan = queue.cancel(type="halve", dry_run=True)
    assert str(plan) == "1 job would be cancelled, 1 running would be asked to stop"
    assert str(plan.apply()) == "1 job cancelled, 1 running asked to stop"
    queue.store.leave(owner)
