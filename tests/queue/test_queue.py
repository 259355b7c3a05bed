"""What a user says to a queue, on a real folder."""

import json
import os
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, Worker, exponential, handler
from jobqueue.errors import (
    FilterRequired,
    HandlerNotImportable,
    InvalidJob,
    InvalidTime,
    JobFailed,
    JobNotFound,
    NotJSON,
    NoWorkerWarning,
    QueueFolderError,
    StillRunning,
    Unsupported,
    WrongStatus,
)
from jobqueue.queue.default import default_queue, enqueue
from jobqueue.testing import FakeClock, drain


@handler
def scan(repo: str = "octo/cat", depth: int = 1) -> dict[str, Any]:
    return {"repo": repo, "depth": depth}


@handler(retry=exponential(base="1s", attempts=2))
def broken() -> None:
    raise ValueError("no luck with 7")


HANDLERS = [scan, broken]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Queue:
    return Queue(tmp_path / "q", clock=clock, durability="relaxed")


def failed_job(queue: Queue, clock: FakeClock, **options: Any) -> str:
    job = queue.enqueue("broken", max_attempts=1, **options)
    drain(queue, HANDLERS)
    assert job.status == "failed"
    return job.id


# Adding


def test_a_job_is_a_readable_file_in_a_private_folder(queue: Queue, tmp_path: Path) -> None:
    job = queue.enqueue("scan", {"repo": "octo/cat"}, priority="high", tags=["a"], project=7)

    [file] = (tmp_path / "q" / "pending").iterdir()
    assert file.name == f"{job.id}.json"
    assert json.loads(file.read_text()) == {
        "id": job.id,
        "type": "scan",
        "payload": {"repo": "octo/cat"},
        "priority": 5,
        "project": "7",
        "tags": ["a"],
        "created_at": "2026-01-01T12:00:00.000001Z",
    }
    assert file.read_text().startswith('{\n  "id"')
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "q").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == [".jobqueue", "claimed", "done", "failed", "pending"]


def test_a_call_is_checked_against_its_handler(queue: Queue) -> None:
    assert queue.enqueue(scan, repo="octo/dog").payload == {"repo": "octo/dog"}
    assert queue.enqueue(scan, "octo/owl", depth=2).payload == {"repo": "octo/owl", "depth": 2}
    with pytest.raises(InvalidJob, match="scan.*rep.*did you mean 'repo'"):
        queue.enqueue(scan, rep="x")  # type: ignore[call-overload]
    with pytest.raises(InvalidJob, match="depth"):
        queue.enqueue(scan, depth="deep")  # type: ignore[call-overload]
    assert len(queue) == 2


def test_a_handler_that_no_worker_can_import_is_refused(queue: Queue) -> None:
    @handler
    def nested() -> None: ...

    with pytest.raises(HandlerNotImportable, match=r"put it into a module, such as\s+handlers.py"):
        queue.enqueue(nested)


def test_what_a_handler_says_of_retries_goes_into_the_job(queue: Queue) -> None:
    assert queue.enqueue(broken).max_attempts == 2
    assert queue.with_options(max_attempts=5).enqueue(broken).max_attempts == 5
    assert queue.with_options(max_retries=6).enqueue(broken).max_attempts == 7


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"priorty": 1}, InvalidJob, "did you mean 'priority'"),
        ({"priority": 100}, InvalidJob, "give 0 to 99"),
        ({"priority": "soon"}, InvalidJob, "urgent, high, normal, low"),
        ({"delay": -1}, InvalidTime, "delay: -1 is negative"),
        ({"delay": "ten minutes"}, InvalidTime, "delay: cannot read 'ten minutes'"),
        ({"run_after": datetime(2026, 1, 1)}, InvalidTime, "no time zone; write datetime.now"),
        ({"delay": "1m", "run_after": "2026-01-01T00:00:00Z"}, InvalidJob, "give one of the two"),
        ({"max_attempts": 0}, InvalidJob, "max_attempts: 0 is out of range"),
        ({"timeout": 0}, InvalidJob, "timeout"),
        ({"key_scope": "active"}, InvalidJob, "without idempotency_key"),
        ({"after": ["nobody"]}, JobNotFound, "no job 'nobody'"),
        ({"id": "../x"}, InvalidJob, "cannot be a file name"),
        ({"id": 5}, InvalidJob, "id: 5 is not a text"),
        ({"tags": 3}, InvalidJob, "tags"),
    ],
)
def test_a_wrong_option_is_refused_and_nothing_is_stored(queue: Queue, options: Any, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        queue.enqueue("scan", {}, **options)
    assert len(queue) == 0


def test_a_payload_that_is_not_json_is_refused_by_its_key_path(queue: Queue) -> None:
    with pytest.raises(NotJSON, match=r"payload.rows\[1\].when: a datetime.datetime is not a JSON value; write .isoformat"):
        queue.enqueue("scan", {"rows": [{}, {"when": datetime.now(timezone.utc)}]})
    with pytest.raises(TypeError):
        queue.enqueue("scan", {1: 2})  # type: ignore[call-overload]
    with pytest.raises(InvalidJob, match="above the limit"):
        queue.enqueue("scan", {"text": "x" * (1 << 20)})
    assert len(queue) == 0


def test_many_jobs_are_checked_before_the_first_is_stored(queue: Queue) -> None:
    with pytest.raises(NotJSON):
        queue.enqueue_many("scan", [{"repo": "a"}, {"repo": {1}}])
    assert len(queue) == 0

    jobs = queue.enqueue_many(scan, [{"repo": str(n)} for n in range(2500)], priority="low")

    assert len(jobs) == len(queue) == 2500
    assert [job.payload["repo"] for job in queue.jobs(limit=3)] == ["0", "1", "2"]


def test_a_key_finds_the_job_that_exists_and_says_so(queue: Queue) -> None:
    first = queue.enqueue("scan", {"repo": "a"}, idempotency_key="k")
    again = queue.enqueue("scan", {"repo": "b"}, idempotency_key="k")
    forced = queue.enqueue("scan", {"repo": "c"}, idempotency_key="k", force=True)

    assert (first.outcome, again.outcome, forced.outcome) == ("created", "exists", "created")
    assert (again, again.created, again.payload) == (first, False, {"repo": "a"})
    assert forced != first


def test_a_key_can_be_made_from_the_request(queue: Queue) -> None:
    first = queue.enqueue("scan", {"a": 1, "b": 2}, idempotency_key=True)

    assert queue.enqueue("scan", {"b": 2, "a": 1}, idempotency_key=True) == first
    assert queue.enqueue("scan", {"b": 2, "a": 2}, idempotency_key=True) != first
    assert queue.enqueue("scan", {"a": 1, "b": 2}, idempotency_key=True, pipeline_version="v2") != first


def test_names_are_slugs_of_the_payload(queue: Queue) -> None:
    prompt = "Extract the login form component, please"
    assert queue.enqueue("extract", {"prompt": prompt}).name == "extract-the-login-form-component-1767268800000"
    assert queue.enqueue("extract", {"name": "mine"}).name == "mine"
    assert queue.enqueue("extract", {}, name="given").name == "given"


def test_nobody_to_run_it_is_said_once(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q")
    with pytest.warns(NoWorkerWarning, match="no live worker serves 'scan'.*python -m jobqueue.worker") as caught:
        queue.enqueue("scan")
        queue.enqueue("scan")
    assert [warning.filename for warning in caught] == [__file__]


def test_a_worker_that_has_just_come_is_seen_before_a_warning(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Worker(queue, [scan]):
            queue.enqueue(scan, repo="x")
        with Worker(queue, [broken]):
            queue.enqueue(broken)


def test_with_a_worker_there_is_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings(), Queue(tmp_path / "q") as queue, Worker(queue, [scan]):
        warnings.simplefilter("error")
        assert queue.enqueue(scan, repo="x").result(10) == {"repo": "x", "depth": 1}


# The default queue


def test_the_default_queue_is_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_queue().store.url == str(tmp_path / "queue_dir")
    (tmp_path / "jobqueue.yaml").write_text("queue_dir: from_file\n")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert default_queue().store.url == str(tmp_path / "from_file")
    monkeypatch.setenv("JOBQUEUE_DIR", str(tmp_path / "from_env"))
    assert default_queue().store.url == str(tmp_path / "from_env")
    assert Queue(tmp_path / "argument").store.url == str(tmp_path / "argument")
    assert enqueue("scan").queue.store.url == str(tmp_path / "from_env")


def test_an_address_that_is_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unsupported, match="no store for such an address"):
        Queue("redis://host:6379/0")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "q").mkdir()
    (tmp_path / "q").chmod(0o777)
    with pytest.raises(QueueFolderError, match="chmod go-w"):
        Queue(tmp_path / "q")


# Looking


def test_lists_are_filtered_ordered_and_paged(queue: Queue, clock: FakeClock) -> None:
    old = queue.enqueue("scan", {"repo": "octo/cat"}, project="p", batch="b1", tags=["x"])
    clock.advance("2h")
    urgent = queue.enqueue("ocr", {"file": "a.pdf"}, priority=0, project="p")
    young = queue.enqueue("scan", {"repo": "octo/dog"}, idempotency_key="k")

    assert list(queue.jobs()) == [urgent, old, young]
    assert list(queue.jobs("queued", type="scan")) == [old, young]
    assert list(queue.jobs(["waiting", "done"], project="p")) == [urgent, old]
    assert list(queue.jobs(batch="b1")) == list(queue.jobs(tag="x")) == list(queue.jobs(text="OCTO/cat")) == [old]
    assert list(queue.jobs(key="k")) == [young]
    numbered = queue.enqueue("scan", {}, project=7, batch=8)
    assert list(queue.jobs(project=7)) == list(queue.jobs(project="7", batch=8)) == [numbered]
    numbered.delete()
    assert list(queue.jobs(since="1h")) == [urgent, young]
    assert list(queue.jobs(until="1h")) == [old]
    page = queue.jobs(limit=1, offset=1)
    assert (list(page), page.total) == ([old], 3)
    with pytest.raises(InvalidJob, match="'colour': not a filter"):
        queue.jobs(colour="red")
    with pytest.raises(InvalidJob, match="not a status"):
        queue.jobs("sleeping")


def test_an_unknown_id_never_looks_pending(queue: Queue) -> None:
    with pytest.raises(JobNotFound, match="no job 'nope' in this queue"):
        queue.get("nope")
    with pytest.raises(KeyError):
        queue.why("../../etc/passwd")
    assert "nope" not in queue


def test_a_dropped_file_is_found_by_its_name(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "q" / "pending" / "mine.json").write_text('{"type": "scan", "data": {"repo": "x"}}')

    assert queue.get("mine.json").payload == queue.get("mine").payload == {"repo": "x"}
    assert drain(queue, HANDLERS).results == [{"repo": "x", "depth": 1}]


def test_last_is_the_job_that_was_made_last(queue: Queue, clock: FakeClock) -> None:
    first = queue.enqueue("scan", priority=20)
    clock.advance(1)
    second = queue.enqueue("scan", priority=0)
    assert queue.last("scan") == second
    queue.delete(second)
    assert queue.last() == first
    with pytest.raises(JobNotFound, match="last ocr"):
        queue.last("ocr")


def test_stats_count_the_four_and_their_parts(queue: Queue, clock: FakeClock) -> None:
    queue.enqueue("scan", project="p")
    queue.enqueue("scan", delay="1h")
    failed_job(queue, clock)
    queue.cancel(queue.enqueue("scan"))
    queue.enqueue("broken", max_attempts=3)
    drain(queue, [broken], types=["broken"])
    queue.enqueue("scan")
    clock.advance("5m")

    stats = queue.stats()

    assert (stats.pending, stats.claimed, stats.done, stats.failed, stats.total) == (3, 0, 1, 2, 6)
    assert (stats.delayed, stats.retrying, stats.cancelled, stats.rejected) == (1, 1, 1, 0)
    assert stats.oldest_age == pytest.approx(300, abs=1)
    assert (stats.workers.is_running, stats.workers.max_concurrency) == (False, 0)
    assert queue.stats(project="p").total == 1
    assert queue.stats_by("type")["broken"].total == 2


def test_why_says_one_thing_with_its_evidence(queue: Queue, clock: FakeClock, tmp_path: Path) -> None:
    waits = queue.enqueue("scan")
    later = queue.enqueue("scan", delay="12m")
    child = queue.enqueue("scan", after=[later])
    failed = failed_job(queue, clock)
    (tmp_path / "q" / "pending" / "half.json").write_text('{"type": "sc')

    assert queue.why(waits) == "Done 0 s ago, after 1 attempt."
    assert queue.why(later) == "Not started: due in 12 min."
    assert queue.why(child) == f"Not started: waits for {later.id}, which has not finished."
    assert queue.why(failed) == "Failed 0 s ago, after 1 attempt: error: no luck with 7"
    assert queue.why("half").startswith("Not started: it cannot be read as a job yet: line 1")
    fresh = queue.enqueue("ocr")
    assert queue.why(fresh) == (
        "Not started: no live worker serves 'ocr'; none is running. Start one: python -m jobqueue.worker"
    )
    with Worker(queue, [scan], types=["scan"]):
        assert queue.why(fresh) == "Not started: no live worker serves 'ocr'; 1 alive serve scan."
    queue.pause("disk full", by="ann")
    assert queue.why(fresh) == "Not started: the queue is paused by ann since 2026-01-01 12:00 UTC: disk full."


# Handles


def test_a_result_waits_raises_and_gives_up(tmp_path: Path) -> None:
    with Queue(tmp_path / "q") as queue:
        good, bad, never = queue.enqueue(scan), queue.enqueue("broken", max_attempts=1), queue.enqueue("ocr")
        with Worker(queue, HANDLERS, types=["scan", "broken"]):
            assert good.result("10s") == {"repo": "octo/cat", "depth": 1}
            with pytest.raises(JobFailed, match=r"(?s)failed \(error\): no luck with 7.*Traceback.*ValueError"):
                bad.result("10s")
        with pytest.raises(StillRunning, match="has not finished in 0.01: Not started"):
            never.wait(0.01)
        with pytest.raises(TimeoutError):
            never.result(0)


def test_a_handle_of_a_purged_job_keeps_what_it_saw(queue: Queue) -> None:
    job = queue.enqueue("scan", {"repo": "x"})
    job.delete()

    assert job.payload == {"repo": "x"}
    assert repr(job).endswith("scan gone>")
    with pytest.raises(JobNotFound, match="it was purged"):
        assert job.status


# Verbs


def test_retry_starts_again_and_keeps_what_happened(queue: Queue, clock: FakeClock) -> None:
    id = failed_job(queue, clock)

    job = queue.get(id).retry()

    assert (job.status, job.attempts, job.history[0].outcome, job.history[0].number) == ("pending", 0, "failed", 1)
    with pytest.raises(WrongStatus, match="is pending and cannot be retried"):
        job.retry()


def test_retry_of_many_leaves_out_cancelled_ones(queue: Queue, clock: FakeClock) -> None:
    failed = failed_job(queue, clock, project="p")
    cancelled = queue.enqueue("scan", project="p")
    cancelled.cancel()

    assert queue.retry(project="p", dry_run=True).ids == [failed]
    assert queue.get(failed).status == "failed"
    assert queue.retry(project="p").ids == [failed]
    assert queue.retry(project="p", include=["cancelled"]).ids == [cancelled.id]


def test_a_job_of_another_project_is_refused(queue: Queue, clock: FakeClock) -> None:
    mine, other = failed_job(queue, clock, project="p1"), failed_job(queue, clock, project="p2")

    with pytest.raises(InvalidJob, match=f"retry: {other} belongs to the project 'p2', not to 'p1'; nothing was changed"):
        queue.retry([mine, other], project="p1")
    assert queue.get(mine).status == "failed"
    assert queue.retry(mine, project="p1").ids == [mine]


def test_verbs_without_a_filter_are_refused(queue: Queue) -> None:
    for verb in (queue.retry, queue.cancel):
        with pytest.raises(FilterRequired, match="without a filter this would be every job"):
            verb()
    with pytest.raises(InvalidJob, match="give jobs or filters, not both"):
        queue.cancel("x", type="scan")
    with pytest.raises(InvalidJob, match="only done and failed jobs can be purged"):
        queue.purge(status="pending")


def test_purge_means_all_done_jobs_and_can_be_undone(queue: Queue, clock: FakeClock) -> None:
    done = [queue.enqueue("scan").id for _ in range(3)]
    failed = failed_job(queue, clock)

    assert str(queue.purge(dry_run=True)) == "3 jobs would be purged"
    purged = queue.purge()

    assert sorted(purged.ids) == sorted(done)
    assert (len(queue), queue.get(failed).status) == (1, "failed")
    assert sorted(queue.restore(purged).ids) == sorted(done)
    clock.advance("8d")
    assert len(queue.purge(status=["done", "failed"], older_than="7d")) == 4


def test_a_bulk_call_says_what_it_refused(queue: Queue) -> None:
    job = queue.enqueue("scan")
    drain(queue, HANDLERS)

    bulk = queue.cancel([job, "nope"])

    assert bulk.refused == {job.id: f"{job.id} is done and cannot be cancelled", "nope": "no job 'nope' in this queue"}
    assert str(bulk).startswith("0 jobs cancelled, 2 refused")
    with pytest.raises(JobNotFound):
        queue.cancel("nope")


def test_a_pause_outlasts_the_queue_object(tmp_path: Path) -> None:
    with Queue(tmp_path / "q") as queue:
        queue.enqueue("scan")
        queue.pause("maintenance", by="ann")
        queue.pause(type="ocr", by="bob")
        assert drain(queue, HANDLERS).done == []
    with Queue(tmp_path / "q") as again:
        assert "paused by ann" in str(again.stats().paused)
        again.resume()
        assert len(drain(again, HANDLERS).done) == 1
        assert again.control().paused_types["ocr"].by == "bob"


def test_paused_is_a_block(queue: Queue) -> None:
    with queue.paused("short"):
        assert queue.control().paused is not None
    assert queue.control().paused is None


def test_times_may_be_given_as_text_or_duration(queue: Queue, clock: FakeClock) -> None:
    due = clock.now() + timedelta(hours=1)
    for given in ({"run_after": due}, {"run_after": due.isoformat()}, {"delay": "1h"}, {"delay": timedelta(hours=1)}):
        assert queue.enqueue("scan", {}, **given).run_after == pytest.approx(due, abs=timedelta(milliseconds=1))
