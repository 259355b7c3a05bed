"""The worker, as real processes and in this one: whatever a handler does, and whatever makes a worker stop."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue
from jobqueue.errors import HandlerError, InvalidJob, QueueFolderError
from jobqueue.model.status import Status
from jobqueue.worker.worker import Worker

EXECUTORS = ("inline", "thread", "process")
Lines = Callable[[], list[str]]


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ticking(queue: Queue, workers: Any) -> Iterator[Callable[..., Worker]]:
    """Workers in this process that do one job at each `tick()`."""
    made: list[Worker] = []

    def make(executor: str = "inline", **options: Any) -> Worker:
        made.append(Worker(queue, str(workers.handlers), executor=executor, **({"cancel_grace": 0.2} | options)))
        return made[-1]

    yield make
    for worker in made:
        if worker.owner:
            worker.end()


# -- what becomes of a job


def run_one(queue: Queue, worker: Worker, type: str, **payload: Any) -> Any:
    job = queue.enqueue(type, payload)
    while worker.tick():
        pass
    return queue.get(job.id).located


def test_the_return_value_is_the_result(queue: Queue, ticking: Any, executor: str) -> None:
    worker = ticking(executor)
    located = run_one(queue, worker, "add", a=1, b=2)
    assert (located.status, located.job.result, located.job.attempts) == (Status.DONE, {"sum": 3}, 1)
    assert located.job.locked_by == worker.owner
    assert run_one(queue, worker, "quick", log="/dev/null").job.result is None


def test_an_exception_is_tried_again_and_then_fails(queue: Queue, ticking: Any, executor: str, wait_until: Any) -> None:
    worker = ticking(executor)
    job = queue.enqueue("broken", {"message": "no luck"})
    assert worker.tick()
    waiting = queue.get(job.id).located
    assert (waiting.status, waiting.job.attempts) == (Status.PENDING, 1)
    assert waiting.job.run_after is not None
    wait_until(lambda: worker.tick() and queue.get(job.id).status == "failed")
    failed = queue.get(job.id).located.job
    assert failed.attempts == 3
    assert [attempt.outcome for attempt in failed.history] == ["failed", "failed"]
    assert (failed.error.reason, failed.error.type, failed.error.message) == ("error", "ValueError", "no luck")
    assert "raise ValueError(message)" in failed.error.traceback
    assert "jobqueue/worker" not in failed.error.traceback


FINAL: dict[str, tuple[dict[str, Any], tuple[str, str | None, str]]] = {
    "discards": ({}, ("error", "Discard", "never again")),
    "add": ({"b": 1}, ("payload", None, "a")),
    "unpicklable": ({}, ("result", "NotJSON", "unpicklable returned what cannot be stored")),
    "not_a_number": ({}, ("result", "NotJSON", "nan")),
    "huge": ({}, ("result", None, "20,971,5")),
    "no-such-type": ({}, ("unknown_type", None, "No processor registered for job type: no-such-type")),
}


@pytest.mark.parametrize("type", FINAL)
def test_what_cannot_work_fails_at_once(queue: Queue, ticking: Any, executor: str, type: str) -> None:
    payload, (reason, error_type, message) = FINAL[type]
    located = run_one(queue, ticking(executor), type, **payload)
    assert located.status is Status.FAILED
    assert located.job.error.reason == reason
    assert error_type in (None, located.job.error.type)
    assert message in located.job.error.message
    assert located.job.attempts == 1


ERRORS = {
    "silent_error": ("KeyError", "KeyError"),
    "exits": ("SystemExit", "sys.exit(3)"),
    "interrupted": ("KeyboardInterrupt", "KeyboardInterrupt"),
    "odd_error": ("odd_error.<locals>.Odd", "str() raised RuntimeError"),
    "surrogate_error": ("ValueError", "\\ud800"),
    "snoozes_for_ever": ("InvalidTime", "not a time"),
}


@pytest.mark.parametrize("type", ERRORS)
def test_whatever_a_handler_raises_ends_that_attempt_only(queue: Queue, ticking: Any, executor: str, type: str) -> None:
    worker = ticking(executor)
    job = queue.with_options(max_attempts=1).enqueue(type)
    assert worker.tick()
    error = queue.get(job.id).located.job.error
    assert (queue.get(job.id).status, error.type) == ("failed", ERRORS[type][0])
    assert ERRORS[type][1] in error.message
    assert len(error.message) <= 10_000
    assert run_one(queue, worker, "add", a=1).status is Status.DONE


def test_a_snooze_gives_the_attempt_back(queue: Queue, ticking: Any, executor: str, log: Path, wait_until: Any) -> None:
    worker = ticking(executor)
    job = queue.enqueue("snoozes", {"log": str(log)})
    wait_until(lambda: worker.tick() and queue.get(job.id).status == "done")
    assert queue.get(job.id).located.job.result == 1
    assert [line.split()[1] for line in log.read_text().splitlines()] == ["1", "1", "1"]


def test_a_retry_says_when(queue: Queue, ticking: Any, executor: str, log: Path, wait_until: Any) -> None:
    worker = ticking(executor)
    job = queue.enqueue("retries_soon", {"log": str(log)})
    wait_until(lambda: worker.tick() and queue.get(job.id).status == "done")
    assert queue.get(job.id).located.job.result == 3


def test_types_that_a_worker_does_not_serve_stay_pending(queue: Queue, ticking: Any) -> None:
    worker = ticking(types=["add"])
    other = queue.enqueue("broken")
    unknown = queue.enqueue("no-such-type")
    assert run_one(queue, worker, "add", a=1).status is Status.DONE
    assert not worker.tick()
    assert [queue.get(job.id).status for job in (other, unknown)] == ["pending", "pending"]
    assert queue.get(other.id).located.job.attempts == 0


def test_tick_does_one_job_and_nothing_is_no_error(queue: Queue, ticking: Any, executor: str) -> None:
    worker = ticking(executor)
    assert worker.tick() is False
    jobs = [queue.enqueue("add", {"a": number}) for number in range(3)]
    for done in range(1, 4):
        assert worker.tick() is True
        assert [queue.get(job.id).status for job in jobs] == ["done"] * done + ["pending"] * (3 - done)
    assert worker.tick() is False


def test_a_handler_that_changes_the_process_does_not_change_the_next_job(
    queue: Queue, ticking: Any, tmp_path: Path, executor: str
) -> None:
    if executor == "thread":
        pytest.skip("threads share their process")
    worker = ticking(executor)
    here = os.getcwd()
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)]
    (tmp_path / "elsewhere").mkdir()
    try:
        assert run_one(queue, worker, "vandal", folder=str(tmp_path / "elsewhere")).status is Status.DONE
        assert run_one(queue, worker, "where").job.result == here
        assert os.getcwd() == here
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)] == before
    finally:
        os.chdir(here)
        for number, handler in zip((signal.SIGTERM, signal.SIGINT, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


# -- processes that end, hang, or must be ended


@pytest.mark.parametrize(("type", "message"), [("hard_exit", "exit code 7"), ("segfault", "SIGSEGV")])
def test_a_crash_ends_that_attempt_and_not_its_neighbour(
    queue: Queue, workers: Any, log: Path, lines: Lines, wait_until: Any, tmp_path: Path, type: str, message: str
) -> None:
    gate = tmp_path / "gate"
    with Worker(queue, str(workers.handlers), executor="process", concurrency=2) as worker:
        neighbour = queue.enqueue("gated", {"log": str(log), "gate": str(gate)})
        wait_until(lambda: len(lines()) == 1)
        job = queue.with_options(max_attempts=2, backoff=["10ms"]).enqueue(type)
        wait_until(lambda: queue.get(job.id).status == "failed")
        after = queue.enqueue("add", {"a": 1})
        wait_until(lambda: queue.get(after.id).status == "done")
        assert queue.get(neighbour.id).status == "claimed"
        gate.touch()
        wait_until(lambda: queue.get(neighbour.id).status == "done")
        assert worker.thread is not None
    error = queue.get(job.id).located.job.error
    assert (error.reason, queue.get(job.id).located.job.attempts) == ("crashed", 2)
    assert message in error.message
    assert queue.get(neighbour.id).located.job.attempts == 1
    assert [line.split()[0] for line in lines()] == ["start", "end"]


def test_a_process_that_dies_between_jobs_costs_nobody_an_attempt(
    queue: Queue, ticking: Any, is_alive: Any, wait_until: Any
) -> None:
    worker = ticking("process")
    for _ in range(2):
        assert run_one(queue, worker, "later_crash").status is Status.DONE
        (slot,) = worker.slots.idle
        wait_until(lambda slot=slot: not is_alive(slot.pid))
        located = run_one(queue, worker, "add", a=1)
        assert (located.status, located.job.attempts) == (Status.DONE, 1)


def test_a_timeout_ends_the_process_and_the_attempt(
    queue: Queue, ticking: Any, log: Path, lines: Lines, is_alive: Any, wait_until: Any
) -> None:
    job = queue.with_options(max_attempts=1).enqueue("too_long", {"log": str(log)})
    assert ticking("process").tick()
    located = queue.get(job.id).located
    assert (located.status, located.job.error.reason) == (Status.FAILED, "timeout")
    assert "0.3 s" in located.job.error.message
    for line in lines():  # none where the process was still starting
        pid = int(line.split()[3])
        wait_until(lambda pid=pid: not is_alive(pid))


def in_background(worker: Worker) -> threading.Thread:
    thread = threading.Thread(target=worker.tick, daemon=True)
    thread.start()
    return thread


def test_a_running_job_that_looks_is_cancelled(
    queue: Queue, ticking: Any, executor: str, log: Path, lines: Lines, wait_until: Any
) -> None:
    job = queue.enqueue("obedient", {"log": str(log)})
    thread = in_background(ticking(executor, cancel_grace=60, grace=0.1))
    wait_until(lines)
    queue.cancel(job.id)
    thread.join(30)
    located = queue.get(job.id).located
    assert (located.status, located.job.error.reason) == (Status.FAILED, "cancelled")
    assert not os.listdir(Path(queue.store.url) / ".jobqueue" / "cancel")


def test_a_running_job_that_does_not_look_is_ended_by_force(
    queue: Queue, ticking: Any, log: Path, lines: Lines, is_alive: Any, wait_until: Any
) -> None:
    job = queue.enqueue("stubborn", {"log": str(log)})
    thread = in_background(ticking("process", cancel_grace=0.1))
    wait_until(lines)
    queue.cancel(job.id)
    thread.join(30)
    located = queue.get(job.id).located
    assert (located.status, located.job.error.reason) == (Status.FAILED, "cancelled")
    assert not is_alive(int(lines()[0].split()[3]))


def test_the_concurrency_is_reached_and_never_passed(
    queue: Queue, workers: Any, executor: str, log: Path, lines: Lines, wait_until: Any
) -> None:
    concurrency = 1 if executor == "inline" else 3
    queue.enqueue_many("counted", [{"log": str(log)}] * 12)
    with Worker(queue, str(workers.handlers), executor=executor, concurrency=concurrency):
        wait_until(lambda: queue.stats().done == 12)
    running, most = 0, 0
    for line in lines():
        running += 1 if line[0] == "+" else -1
        most = max(most, running)
    assert most == concurrency


def test_once_does_one_job_whatever_the_concurrency(queue: Queue, workers: Any, executor: str, log: Path, lines: Lines) -> None:
    queue.enqueue_many("quick", [{"log": str(log)}] * 5)
    worker = Worker(queue, str(workers.handlers), executor=executor, concurrency=1 if executor == "inline" else 3)
    worker.run(once=True)
    assert len(lines()) == 1
    assert queue.stats().done == 1


def test_a_job_moved_away_while_it_runs_is_dropped(
    queue: Queue, ticking: Any, log: Path, lines: Lines, tmp_path: Path, wait_until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate = tmp_path / "gate"
    job = queue.enqueue("gated", {"log": str(log), "gate": str(gate)})
    thread = in_background(ticking("thread", cancel_grace=60))
    wait_until(lines)
    (held,) = Path(queue.store.url).glob("claimed/*/*.json")
    held.rename(tmp_path / "taken.json")
    gate.touch()
    thread.join(30)
    assert job.id not in queue
    assert "taken away while it ran" in caplog.text


# -- the disk refuses


def test_a_worker_whose_disk_refuses_an_outcome_tries_again(
    queue: Queue, ticking: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("jobqueue.worker.outbox.TRY_AGAIN", (0.001, 0.001, 0.001))
    worker = ticking()
    original = queue.store.apply
    refusals = iter([OSError(28, "No space left on device")] * 2)

    def apply(outcomes: Any) -> Any:
        for error in refusals:
            raise error
        return original(outcomes)

    monkeypatch.setattr(queue.store, "apply", apply)
    assert run_one(queue, worker, "add", a=1).status is Status.DONE
    assert caplog.text.count("cannot store 1 outcomes") == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_cannot_store_an_outcome_at_all_ends(
    queue: Queue, workers: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any, tmp_path: Path, log: Path
) -> None:
    """Whichever thread it was that could not: the claim is not kept by a worker that has lost its outcome."""
    monkeypatch.setattr("jobqueue.worker.outbox.TRY_AGAIN", (0.001,))

    def apply(outcomes: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(queue.store, "apply", apply)
    queue.enqueue("add", {"a": 1})
    queue.enqueue("gated", {"log": str(log), "gate": str(tmp_path / "gate")})  # the watcher stores what waits meanwhile
    worker = Worker(queue, str(workers.handlers))
    threading.Timer(0.5, (tmp_path / "gate").touch).start()
    with pytest.raises(OSError, match="Input/output"):
        worker.run()


# -- real processes


def test_a_worker_process_drains_the_queue(queue: Queue, workers: Any) -> None:
    jobs = queue.enqueue_many("add", [{"a": number} for number in range(20)])
    failing = queue.with_options(max_attempts=1).enqueue("broken")
    code, output = workers.finish(workers.start("--drain"))
    assert code == 0, output
    assert [queue.get(job.id).located.job.result["sum"] for job in jobs] == list(range(1, 21))
    assert "Worker loop started" in output
    assert f"done {jobs[0].id} (add)" in output
    assert f"failed {failing.id} (broken): it broke" in output
    assert "20 done, 1 failed, 0 given back" in output
    assert queue.workers() == []
    assert os.listdir(Path(queue.store.url) / "claimed") == []
    assert os.listdir(Path(queue.store.url) / ".jobqueue" / "locks") == []


def test_once_and_an_empty_queue(queue: Queue, workers: Any, log: Path) -> None:
    code, output = workers.finish(workers.start("--once", "--executor", "inline"))
    assert (code, "0 done" in output) == (0, True)
    queue.enqueue_many("quick", [{"log": str(log)}] * 3)
    code, output = workers.finish(workers.start("--once", "--executor", "inline"))
    assert (code, "1 done" in output) == (0, True)
    assert queue.stats().pending == 2


def test_sigterm_lets_the_running_job_finish(
    queue: Queue, workers: Any, executor: str, log: Path, lines: Lines, wait_until: Any, tmp_path: Path
) -> None:
    job = queue.enqueue("gated", {"log": str(log), "gate": str(tmp_path / "gate")})
    waiting = queue.enqueue("add", {"a": 1})
    worker = workers.start("--executor", executor)
    wait_until(lines)
    worker.send_signal(signal.SIGTERM)
    assert "claiming no more" in read_until(worker, "claiming no more")
    (tmp_path / "gate").touch()
    code, output = workers.finish(worker)
    assert code == 0, output
    assert (queue.get(job.id).status, queue.get(job.id).located.job.result) == ("done", "through")
    assert queue.get(waiting.id).status == "pending"


def read_until(worker: Any, text: str) -> str:
    output = ""
    while text not in output:
        line = worker.stdout.readline()
        assert line, output
        output += line
    return output


@pytest.mark.parametrize("how", ["grace", "second signal"])
def test_a_job_that_cannot_finish_is_handed_back_with_its_attempt(
    queue: Queue, workers: Any, executor: str, how: str, log: Path, lines: Lines, wait_until: Any, tmp_path: Path
) -> None:
    job = queue.enqueue("gated", {"log": str(log), "gate": str(tmp_path / "gate")})
    worker = workers.start("--executor", executor, "--grace", "0.2s" if how == "grace" else "60s")
    wait_until(lines)
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    if how == "second signal":
        read_until(worker, "claiming no more")
        worker.send_signal(signal.SIGTERM)
    code, output = workers.finish(worker)
    assert code == 0, output
    assert time.monotonic() - started < 20
    queue.store.rescue()  # threads cannot be ended: their jobs are free when the process is gone
    located = queue.get(job.id).located
    assert (located.status, located.job.attempts) == (Status.PENDING, 0)
    (tmp_path / "gate").touch()
    workers.finish(workers.start("--drain", "--executor", "inline"))
    assert queue.get(job.id).located.job.attempts == 1
    assert [line.split()[:3] for line in lines()] == [["start", job.id, "1"], ["start", job.id, "1"], ["end", job.id, "1"]]


def test_a_handler_that_catches_everything_is_interrupted_again(
    queue: Queue, workers: Any, log: Path, lines: Lines, wait_until: Any
) -> None:
    job = queue.enqueue("catches_everything", {"log": str(log)})
    worker = workers.start("--executor", "inline", "--grace", "0.1s")
    wait_until(lines)
    code, output = workers.stop(worker)
    assert code == 0, output
    assert queue.get(job.id).located.job.attempts == 0
    assert lines() == ["start", "caught", "caught", "caught"]


def test_sigint_works_like_sigterm(queue: Queue, workers: Any) -> None:
    worker = workers.start()
    read_until(worker, "Worker loop started")
    code, output = workers.stop(worker, signal.SIGINT)
    assert (code, "SIGINT" in output, "Traceback" in output) == (0, True, False)


def test_a_vandal_does_not_make_a_worker_deaf(queue: Queue, workers: Any, wait_until: Any, tmp_path: Path) -> None:
    worker = workers.start("--executor", "inline")
    job = queue.enqueue("vandal", {"folder": str(tmp_path)})
    wait_until(lambda: queue.get(job.id).status == "done")
    code, output = workers.stop(worker)
    assert (code, "stopped" in output) == (0, True)


def test_a_killed_workers_job_comes_back_within_a_second(
    queue: Queue, workers: Any, log: Path, lines: Lines, wait_until: Any, is_alive: Any, tmp_path: Path, executor: str
) -> None:
    """The process that runs the handler dies with its worker, and only then is the job taken back."""
    gate = tmp_path / "gate"
    job = queue.enqueue("gated", {"log": str(log), "gate": str(gate)})
    worker = workers.start("--executor", executor)
    wait_until(lines)
    child = int(lines()[0].split()[3])
    assert (child == worker.pid) == (executor != "process")
    assert queue.store.rescue() == []
    other = workers.start("--executor", executor)
    read_until(other, "Worker loop started")
    worker.kill()
    killed = time.monotonic()
    wait_until(lambda: len(lines()) == 2)
    assert time.monotonic() - killed < 5  # 1 s is promised; this machine is shared
    assert not is_alive(child)
    gate.touch()
    wait_until(lambda: queue.get(job.id).status == "done")
    located = queue.get(job.id).located.job
    assert located.attempts == 2
    assert [attempt.outcome for attempt in located.history] == ["crashed"]
    assert [line.split()[0] for line in lines()] == ["start", "start", "end"]


def test_a_stopped_worker_keeps_its_job(
    queue: Queue, workers: Any, log: Path, lines: Lines, wait_until: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = queue.enqueue("gated", {"log": str(log), "gate": str(gate)})
    worker = workers.start("--executor", "inline")
    wait_until(lines)
    worker.send_signal(signal.SIGSTOP)
    other = workers.start("--executor", "inline")
    read_until(other, "Worker loop started")
    helper = queue.enqueue("add", {"a": 1})
    wait_until(lambda: queue.get(helper.id).status == "done")
    for _ in range(10):
        assert queue.store.rescue() == []
    assert queue.get(job.id).status == "claimed"
    worker.send_signal(signal.SIGCONT)
    gate.touch()
    wait_until(lambda: queue.get(job.id).status == "done")
    assert len(lines()) == 2


def test_a_daemon_that_a_handler_left_does_not_keep_a_dead_worker_alive(
    queue: Queue, workers: Any, log: Path, lines: Lines, wait_until: Any, tmp_path: Path, executor: str
) -> None:
    left = tmp_path / "left"
    daemon = queue.enqueue("leaves_a_daemon", {"log": str(left)})
    worker = workers.start("--executor", executor)
    try:
        wait_until(lambda: queue.get(daemon.id).status == "done")
        job = queue.enqueue("gated", {"log": str(log), "gate": str(tmp_path / "gate")})
        wait_until(lines)
        worker.kill()
        worker.wait()
        wait_until(lambda: queue.store.rescue() == [job.id], seconds=10)
    finally:
        for pid in left.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def test_two_workers_never_run_a_job_twice(queue: Queue, workers: Any, log: Path, lines: Lines, wait_until: Any) -> None:
    started = [workers.start("--executor", "thread", "--concurrency", "4") for _ in range(2)]
    jobs = []
    for _ in range(15):
        jobs += queue.enqueue_many("quick", [{"log": str(log)}] * 20)
    wait_until(lambda: queue.stats().done == 300)
    for worker in started:
        assert workers.stop(worker)[0] == 0
    assert sorted(line.split()[0] for line in lines()) == sorted(job.id for job in jobs)
    assert {line.split()[1] for line in lines()} == {"1"}
    assert {line.split()[2] for line in lines()} <= {str(worker.pid) for worker in started}


@pytest.mark.parametrize("when", ["idle", "running"])
@pytest.mark.parametrize("how", ["removed", "moved", "pending"])
def test_a_folder_that_is_gone_ends_the_worker_with_a_clear_error(
    queue: Queue, workers: Any, when: str, how: str, log: Path, lines: Lines, wait_until: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    worker = workers.start("--executor", "thread", "--grace", "1s")
    read_until(worker, "Worker loop started")
    if when == "running":
        queue.enqueue("gated", {"log": str(log), "gate": str(gate)})
        wait_until(lines)
    if how == "removed":
        while workers.queue_dir.exists():  # the worker may write into it meanwhile
            shutil.rmtree(workers.queue_dir, ignore_errors=True)
    elif how == "moved":
        workers.queue_dir.rename(tmp_path / "elsewhere")
    else:
        (workers.queue_dir / "pending").rename(tmp_path / "pending")
        (workers.queue_dir / "pending").mkdir()
    code, output = workers.finish(worker)
    gate.touch()
    assert code == 1
    assert f"error: {workers.queue_dir}: the " in output
    assert "removed" in output
    assert "Traceback" not in output


# -- options


BAD_OPTIONS = [
    (["--handlers", "nowhere.py"], 1, "no such file"),
    (["--handlers", "no.such.module"], 1, "no module of this name"),
    (["--types", "add,nothing"], 1, "no handler for 'nothing'"),
    (["--concurrency", "0"], 1, "concurrency"),
    (["--concurrency", "many"], 2, "not a valid integer"),
    (["--executor", "inline", "--concurrency", "2"], 1, "not inline"),
    (["--executor", "dask"], 2, "dask"),
    (["--grace", "soon"], 1, "grace"),
    (["--cancel-grace", "soon"], 1, "cancel_grace"),
    (["--max-jobs-per-child", "0"], 1, "max_jobs_per_child"),
    (["--max-memory", "much"], 1, "max_memory"),
    (["--no-such-option"], 2, "No such option"),
]


@pytest.mark.parametrize(("options", "code", "text"), BAD_OPTIONS, ids=[" ".join(case[0]) for case in BAD_OPTIONS])
def test_bad_options_are_told_apart(
    options: list[str], code: int, text: str, workers: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobqueue.worker.__main__ import main

    monkeypatch.chdir(workers.folder)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    given = [] if options[0] == "--handlers" else ["--handlers", str(workers.handlers)]
    assert main(["--queue", str(workers.queue_dir), *given, *options]) == code
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


def test_no_handlers_at_all(workers: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from jobqueue.worker.__main__ import main

    monkeypatch.chdir(workers.folder)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    assert main(["--queue", str(workers.queue_dir)]) == 1
    assert "--handlers handlers.py" in capsys.readouterr().err


def test_a_worker_process_says_what_is_wrong_and_ends(workers: Any) -> None:
    code, output = workers.finish(workers.start("--types", "nothing"))
    assert code == 1
    assert output.splitlines()[-1].startswith("error: types: no handler for 'nothing'")


def test_options_that_cannot_work_are_refused_before_anything_starts(queue: Queue, workers: Any) -> None:
    with pytest.raises(InvalidJob, match="not inline"):
        Worker(queue, str(workers.handlers), concurrency=2)
    with pytest.raises(InvalidJob, match="unknown"):
        Worker(queue, str(workers.handlers), executor="dask")
    with pytest.raises(HandlerError, match="no handler for 'x'"):
        Worker(queue, str(workers.handlers), types=["x"])
    assert queue.workers() == []


def test_a_queue_folder_that_others_may_write_to_is_refused(workers: Any) -> None:
    workers.queue_dir.mkdir()
    workers.queue_dir.chmod(0o777)
    code, output = workers.finish(workers.start())
    assert (code, "chmod go-w" in output) == (1, True)


# -- in a server or a notebook


def test_start_and_stop_in_this_process(queue: Queue, workers: Any, executor: str, wait_until: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "jobqueue")
    with Worker(queue, str(workers.handlers), executor=executor) as worker:
        job = queue.enqueue("add", {"a": 1})
        wait_until(lambda: queue.get(job.id).status == "done")
        assert [one.owner for one in queue.workers()] == [worker.owner]
        assert queue.workers()[0].executor == executor
    assert queue.workers() == []
    assert "Worker loop started" in caplog.text
    assert "stopped" in caplog.text


def test_a_thread_that_starts_a_worker_and_ends_takes_nothing_with_it(
    queue: Queue, workers: Any, log: Path, lines: Lines, wait_until: Any, tmp_path: Path
) -> None:
    """The kernel ends a child when the thread that started it ends, not when its process does."""
    worker = Worker(queue, str(workers.handlers), executor="process")
    starter = threading.Thread(target=worker.start)
    job = queue.enqueue("gated", {"log": str(log), "gate": str(tmp_path / "gate")})
    starter.start()
    starter.join()
    wait_until(lines)
    (tmp_path / "gate").touch()
    wait_until(lambda: queue.get(job.id).status == "done")
    worker.stop()
    assert queue.get(job.id).located.job.attempts == 1


def test_a_worker_that_cannot_start_says_so_to_who_started_it(queue: Queue, workers: Any) -> None:
    shutil.rmtree(workers.queue_dir / ".jobqueue" / "locks")
    with pytest.raises(OSError, match="locks"):
        Worker(queue, str(workers.handlers)).start()


def test_a_worker_for_some_types_is_no_worker_for_others(queue: Queue, workers: Any, wait_until: Any) -> None:
    with Worker(queue, str(workers.handlers), types=["add"]):
        wait_until(queue.workers)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            queue.workers_seen = (-100.0, [])
            queue.enqueue("add", {"a": 1})
            with pytest.raises(Warning, match="no live worker serves 'broken'"):
                queue.enqueue("broken")


def test_a_running_worker_picks_up_at_once(queue: Queue, workers: Any, wait_until: Any) -> None:
    """Also right after another claim, when the watcher may hold events back for half a second."""
    with Worker(queue, str(workers.handlers)):
        times = []
        for _ in range(8):
            started = time.monotonic()
            job = queue.enqueue("add", {"a": 1})
            wait_until(lambda job=job: queue.get(job.id).status == "done")
            times.append(time.monotonic() - started)
        assert sorted(times)[4] < 0.3


def test_a_dropped_file_runs_in_a_worker(queue: Queue, workers: Any, wait_until: Any) -> None:
    with Worker(queue, str(workers.handlers)):
        (workers.queue_dir / "pending" / "sum.json").write_text(json.dumps({"type": "add", "data": {"a": 4}}))
        wait_until(lambda: "sum" in queue and queue.get("sum").status == "done")
    assert queue.get("sum").located.job.result == {"sum": 5}


def test_a_folder_error_in_this_process_is_raised(queue: Queue, workers: Any) -> None:
    worker = Worker(queue, str(workers.handlers))
    worker.tick()
    shutil.rmtree(workers.queue_dir)
    with pytest.raises(QueueFolderError, match="removed or replaced"):
        worker.run()
