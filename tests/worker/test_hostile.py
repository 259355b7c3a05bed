"""Handlers that do harm, in a real worker with processes: the worker goes on, and each job ends with a clear error."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, cancel
from jobqueue.store.base import WorkerInfo
from jobqueue.worker import death
from jobqueue.worker.worker import Worker

HOSTILE = '''
import ctypes, logging, os, signal, subprocess, sys, threading, time
from pathlib import Path
from jobqueue import JobContext, handler

LINE = b"flood " * 10_000 + b"\\n"

@handler
def floods(size):
    for _ in range(size // len(LINE)):
        os.write(1, LINE)
    print("the last words")

@handler
def returns(size):
    return "x" * size

@handler
def raises_badly():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text")
        def __reduce__(self):
            raise TypeError("no pickle")
    raise Odd(lambda: 0)

@handler
def exits():
    sys.exit("enough")

@handler
def changes_the_process():
    os.chdir("/")
    sys.stdout = sys.stderr = None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)

@handler
def looks_around():
    print("printed")
    return [os.getcwd(), str(signal.getsignal(signal.SIGTERM)), os.getpid()]

@handler
def deletes_its_file(folder, ctx: JobContext):
    for file in Path(folder).glob(f"claimed/*/{ctx.id}.json"):
        file.unlink()

@handler
def leaves_a_daemon(log):
    """With everything that it has open, and a copy of this very program that comes back from the handler."""
    if os.fork() == 0:
        os.setsid()
        Path(log).write_text(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    copy = os.fork()
    if copy == 0:
        return "not me"
    os.waitpid(copy, 0)
    return "left"

@handler
def closes_everything():
    os.closerange(3, 65536)

@handler
def leaves_a_thread():
    threading.Thread(target=time.sleep, args=(60,)).start()

@handler
def segfaults():
    print("printed before")
    logging.getLogger("mine").info("logged before")
    ctypes.string_at(0)

@handler
def kills_itself(size):
    held = bytearray(size)
    held[::4096] = b"x" * len(held[::4096])
    os.kill(os.getpid(), signal.SIGKILL)

@handler
def exits_hard():
    os._exit(3)

@handler
def stays(log, ctx: JobContext):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen(["sleep", "60"])
    with open(log, "a") as file:
        file.write(f"{os.getpid()} {helper.pid}\\n")
    while True:
        time.sleep(0.05)

@handler
def finishes_in_spite_of_it(log, gate, ctx: JobContext):
    Path(log).write_text("runs")
    while not (os.path.exists(gate) and ctx.cancelled):
        time.sleep(0.01)
    return "finished"

@handler
def holds(size):
    """A chunk that the process keeps."""
    globals()["kept"] = bytearray(b"x" * size)
    return os.getpid()
'''
LOG_LIMIT = 1 << 20


@pytest.fixture
def hostile(workers: Any) -> Path:
    file: Path = workers.folder / "hostile.py"
    file.write_text(HOSTILE)
    return file


@pytest.fixture
def ticking(queue: Queue, hostile: Path) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(**options: Any) -> Worker:
        made.append(Worker(queue, str(hostile), executor="process", **({"cancel_grace": 0.2} | options)))
        return made[-1]

    yield make
    for worker in made:
        if worker.owner:
            worker.end()


def run_one(queue: Queue, worker: Worker, type: str, payload: dict[str, Any] | None = None, **options: Any) -> Any:
    job = queue.with_options(**({"max_attempts": 1} | options)).enqueue(type, payload or {})
    assert worker.tick()
    return queue.get(job.id).located


def log_of(queue: Queue, id: str) -> str:
    return queue.store.notes.read_log(id)[0].decode()


def in_background(worker: Worker) -> threading.Thread:
    thread = threading.Thread(target=worker.tick, daemon=True)
    thread.start()
    return thread


ENDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "returns": ({"size": 50_000_000}, "result", "50,000,002 bytes, above the limit"),
    "raises_badly": ({}, "error", "str() raised RuntimeError"),
    "exits": ({}, "error", "sys.exit('enough')"),
    "closes_everything": ({}, "crashed", "the process of this attempt ended itself with exit code 0"),
    "segfaults": ({}, "crashed", "the process of this attempt was killed by SIGSEGV; it held"),
    "exits_hard": ({}, "crashed", "ended itself with exit code 3"),
}


@pytest.mark.parametrize("type", ENDS)
def test_it_ends_with_a_clear_error_and_the_next_job_runs(queue: Queue, ticking: Any, type: str) -> None:
    payload, reason, message = ENDS[type]
    worker = ticking()
    located = run_one(queue, worker, type, payload)
    assert (located.status, located.job.error.reason) == (Status.FAILED, reason)
    assert message in located.job.error.message
    assert run_one(queue, worker, "looks_around").status is Status.DONE


def test_a_flood_is_read_to_its_end_and_the_log_is_bounded(queue: Queue, ticking: Any) -> None:
    worker = ticking()
    located = run_one(queue, worker, "floods", {"size": 100_000_000})
    assert located.status is Status.DONE
    text = log_of(queue, located.job.id)
    assert "flood flood" in text
    assert "bytes left out" in text
    assert text.rstrip().endswith("the last words")
    assert len(text) <= LOG_LIMIT


def test_what_was_said_before_a_crash_is_in_the_log_with_the_stack(queue: Queue, ticking: Any) -> None:
    located = run_one(queue, ticking(), "segfaults")
    text = log_of(queue, located.job.id)
    assert "printed before" in text
    assert "INFO    mine: logged before" in text
    assert "in segfaults" in text
    assert located.job.error.exit_code == -signal.SIGSEGV


def test_a_killed_process_tells_how_much_it_held(queue: Queue, ticking: Any) -> None:
    worker = ticking()
    size = death.own_peak() + 100_000_000  # of a child that held less than its parent did, the kernel tells the parent's
    located = run_one(queue, worker, "kills_itself", {"size": size})
    error = located.job.error
    assert (error.reason, error.exit_code) == ("crashed", -signal.SIGKILL)
    assert "was killed by SIGKILL" in error.message
    assert error.peak_memory > 0.95 * size  # the kernel adds up what each CPU counted only now and then
    located = run_one(queue, worker, "exits_hard")
    assert "it held" in located.job.error.message


def test_the_peak_is_that_of_the_attempt_and_not_of_the_process(queue: Queue, ticking: Any) -> None:
    worker = ticking()
    assert run_one(queue, worker, "returns", {"size": 200_000_000}).status is Status.FAILED
    error = run_one(queue, worker, "exits_hard").job.error
    assert error.peak_memory < 200_000_000 or worker.slots.slots[0].least_peak >= error.peak_memory


def test_a_job_that_crashes_twice_is_not_tried_again(queue: Queue, ticking: Any, wait_until: Any) -> None:
    worker = ticking()
    job = queue.with_options(max_attempts=9, backoff=0.01).enqueue("exits_hard")
    wait_until(lambda: worker.tick() and queue.get(job.id).status == "failed")
    failed = queue.get(job.id).located.job
    assert (failed.attempts, failed.error.exit_code) == (2, 3)


def test_what_a_handler_changes_in_its_process_is_put_back(queue: Queue, ticking: Any) -> None:
    worker = ticking()
    before = run_one(queue, worker, "looks_around").job.result
    assert run_one(queue, worker, "changes_the_process").status is Status.DONE
    located = run_one(queue, worker, "looks_around")
    assert located.job.result == before
    assert "printed" in log_of(queue, located.job.id)


def test_a_handler_that_deletes_its_job_file_costs_nothing_but_that_job(
    queue: Queue, ticking: Any, caplog: pytest.LogCaptureFixture
) -> None:
    worker = ticking()
    job = queue.enqueue("deletes_its_file", {"folder": queue.store.url})
    assert worker.tick()
    assert job.id not in queue
    assert "taken away while it ran" in caplog.text
    assert run_one(queue, worker, "looks_around").status is Status.DONE


def test_what_a_handler_leaves_behind_neither_answers_nor_blocks(
    queue: Queue, ticking: Any, tmp_path: Path, wait_until: Any
) -> None:
    worker = ticking()
    left = tmp_path / "left"
    try:
        assert run_one(queue, worker, "leaves_a_daemon", {"log": str(left)}).job.result == "left"
        assert run_one(queue, worker, "looks_around").status is Status.DONE
        assert run_one(queue, worker, "leaves_a_thread").status is Status.DONE
        worker.end()
        worker.owner = ""
    finally:
        wait_until(left.exists)
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(left.read_text()), signal.SIGKILL)


def test_a_job_that_ignores_sigterm_is_killed_with_all_that_it_started(
    queue: Queue, ticking: Any, tmp_path: Path, is_alive: Any, wait_until: Any
) -> None:
    log = tmp_path / "log"
    job = queue.enqueue("stays", {"log": str(log)})
    thread = in_background(ticking())
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    assert queue.cancel(job.id).asked == {job.id: "its process is ended if it does not stop"}
    assert queue.get(job.id).cancelling
    thread.join(30)
    error = queue.get(job.id).located.job.error
    assert (error.reason, queue.get(job.id).cancelling) == ("cancelled", False)
    for pid in map(int, log.read_text().split()):
        wait_until(lambda pid=pid: not is_alive(pid))


def test_a_job_that_finishes_in_spite_of_a_cancel_is_done(queue: Queue, ticking: Any, tmp_path: Path, wait_until: Any) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    job = queue.enqueue("finishes_in_spite_of_it", {"log": str(log), "gate": str(gate)})
    thread = in_background(ticking(cancel_grace=60))
    wait_until(log.exists)
    queue.cancel(job.id)
    gate.touch()
    thread.join(30)
    assert (queue.get(job.id).status, queue.get(job.id).located.job.result) == ("done", "finished")


def test_a_job_that_stops_before_the_caller_can_look_is_cancelled(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    job = queue.enqueue("stays")
    now = queue.clock.now()
    owner = queue.store.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=now))
    (claim,) = queue.store.claim(owner)
    mark = queue.store.moving.mark_cancel

    def mark_and_stop(name: str, message: str) -> None:
        mark(name, message)
        queue.store.apply([(claim, cancel(claim.job, now, "stopped", Run(owner, now, now)))])

    monkeypatch.setattr(queue.store.moving, "mark_cancel", mark_and_stop)
    assert queue.cancel(job.id).ids == [job.id]
    assert queue.get(job.id).located.job.error.message == "stopped"


@pytest.mark.parametrize(("executor", "where"), [("thread", "in a thread"), ("inline", "inside its worker")])
def test_where_a_job_can_only_be_asked_to_stop_the_caller_is_told(
    queue: Queue, hostile: Path, tmp_path: Path, executor: str, where: str, wait_until: Any
) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    job = queue.enqueue("finishes_in_spite_of_it", {"log": str(log), "gate": str(gate)})
    with Worker(queue, str(hostile), executor=executor):
        wait_until(log.exists)
        (why,) = queue.cancel(job.id).asked.values()
        gate.touch()
    assert why == f"it runs {where}; it stops when its handler looks at ctx.cancelled"


# -- fresh processes


def pids(queue: Queue, worker: Worker, count: int) -> list[int]:
    return [run_one(queue, worker, "looks_around").job.result[2] for _ in range(count)]


def test_a_process_is_replaced_after_so_many_jobs(queue: Queue, ticking: Any) -> None:
    first, second, third, fourth, fifth = pids(queue, ticking(max_jobs_per_child=2), 5)
    assert first == second != third == fourth != fifth


def test_a_process_that_keeps_too_much_memory_is_replaced_after_its_job(queue: Queue, ticking: Any) -> None:
    worker = ticking(max_memory=150_000_000)
    first = run_one(queue, worker, "holds", {"size": 1000}).job.result
    second = run_one(queue, worker, "holds", {"size": 200_000_000})
    assert (second.status, second.job.result) == (Status.DONE, first)
    assert run_one(queue, worker, "holds", {"size": 1000}).job.result != first


def test_handlers_that_cannot_be_loaded_any_more_fail_their_jobs_in_words(
    queue: Queue, ticking: Any, hostile: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = ticking(max_jobs_per_child=1)
    caplog.set_level(logging.WARNING)
    hostile.write_text("import nowhere_at_all")
    pids(queue, worker, 1) if worker.owner else worker.begin()
    error = run_one(queue, worker, "looks_around").job.error
    assert "the handlers cannot be loaded any more" in error.message
    assert "nowhere_at_all" in error.message
    assert error.exit_code is None
    hostile.write_text(HOSTILE)
    assert run_one(queue, worker, "looks_around").status is Status.DONE


def test_the_time_that_a_process_takes_to_start_is_not_the_jobs(queue: Queue, workers: Any, tmp_path: Path) -> None:
    """The first import is the worker's own; its processes are slower."""
    file = tmp_path / "slow.py"
    mark = tmp_path / "imported"
    file.write_text(
        "import os, time\nfrom jobqueue import handler\n"
        f"if os.path.exists({str(mark)!r}): time.sleep(2)\n"
        f"open({str(mark)!r}, 'w').close()\n"
        "@handler(timeout=1)\ndef quick(): return 1\n"
        "@handler(timeout=0.2)\ndef slow(): time.sleep(60)\n"
    )
    worker = Worker(queue, str(file), executor="process", cancel_grace=0.2)
    try:
        located = run_one(queue, worker, "quick")
        assert (located.status, located.job.result) == (Status.DONE, 1)
        assert run_one(queue, worker, "slow").job.error.reason == "timeout"
    finally:
        worker.end()


# -- SIGTERM in each phase


@pytest.mark.parametrize("hurried", [False, True], ids=["graceful", "hurried"])
def test_sigterm_at_any_moment_loses_and_counts_nothing(queue: Queue, workers: Any, hurried: bool, wait_until: Any) -> None:
    """Claiming, running and storing go on all the time in a busy worker: each round ends one somewhere in the middle."""
    jobs = queue.enqueue_many("add", [{"a": number} for number in range(600)])
    enough = 0
    while (waiting := queue.stats().pending) > 0:
        worker = workers.start("--concurrency", "2", "--log-level", "warning")
        enough = min(len(jobs), len(jobs) - waiting + 120)
        wait_until(lambda enough=enough: queue.stats().done >= enough)
        worker.send_signal(signal.SIGTERM)
        if hurried:
            worker.send_signal(signal.SIGTERM)
        code, output = workers.finish(worker)
        assert code == 0, output
        assert queue.stats().claimed == 0
    found = [queue.get(job.id).located.job for job in jobs]
    assert [job.result["sum"] for job in found] == [number + 1 for number in range(600)]
    assert {job.attempts for job in found} == {1}
