"""Workers as others see them: found, started so that they outlive us, and stopped. Real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jobqueue import Queue, Worker, handler
from jobqueue.errors import HandlerError, HandlerNotImportable, StillRunning, Unsupported, WorkerNotStarted
from jobqueue.queue.config import Config
from jobqueue.queue.seen import WorkerHandle
from jobqueue.store.base import WorkerInfo
from jobqueue.store.locks import host

HANDLERS = """
import os, time
from jobqueue import JobContext, handler

@handler
def where() -> list:
    return [os.getpid(), os.getppid(), os.getcwd(), os.getsid(0)]

@handler
def gated(gate: str, ctx: JobContext) -> str:
    ctx.progress(40, "at the gate")
    while not os.path.exists(gate):
        time.sleep(0.01)
    return "through"
"""


@handler
def local() -> int:
    return 1


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)
    return answer


@pytest.fixture
def handlers(tmp_path: Path) -> Path:
    file = tmp_path / "handlers_seen.py"
    file.write_text(HANDLERS)
    return file


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.chdir(tmp_path)
    with Queue(tmp_path / "q", config=Config(durability="relaxed")) as made:
        yield made
        for worker in made.workers():
            if worker.pid != os.getpid():
                worker.stop(now=True, wait="30s")


def state_of(pid: int) -> str:
    """R, S, ..., Z for a zombie; empty where there is no such process."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    return ""


# Seen


def test_a_worker_has_what_it_said_and_what_it_runs(queue: Queue, handlers: Path, tmp_path: Path) -> None:
    worker = queue.ensure_worker(handlers, concurrency=2, wait="60s")
    job = queue.enqueue("gated", {"gate": str(tmp_path / "gate")})
    until(lambda: [one.progress for one in worker.running] != [] and worker.running[0].progress is not None)

    (seen,) = queue.workers()
    assert seen == worker
    assert seen.running == [job]
    assert (seen.running[0].progress.percent, seen.running[0].progress.message) == (40, "at the gate")
    assert (seen.name, seen.host, seen.slots, seen.executor) == (seen.owner, host(), 2, "process")
    assert (seen.types, seen.serves("gated"), seen.serves("mail")) == (("gated", "where"), True, False)
    assert (seen.alive, seen.age > timedelta(0)) == (True, True)
    assert "1 of 2 slots busy, serves gated, where>" in repr(seen)
    (tmp_path / "gate").touch()
    assert job.result("30s") == "through"
    until(lambda: worker.running == [])


def test_a_worker_elsewhere_or_in_this_process_cannot_be_stopped_from_here(queue: Queue) -> None:
    info = WorkerInfo(owner="w-1", host="other-host", pid=1, started_at=queue.clock.now())
    with pytest.raises(Unsupported, match="runs on the host other-host; stop it there: kill 1"):
        WorkerHandle(queue, info).stop()
    with Worker(queue, [local]), pytest.raises(Unsupported, match=r"runs in this very process; call the stop\(\)"):
        queue.workers()[0].stop()


# Started


def test_a_worker_is_started_once_and_is_nobodys_child(queue: Queue, handlers: Path, tmp_path: Path) -> None:
    worker = queue.ensure_worker("handlers_seen.py", wait="60s")
    assert queue.ensure_worker(handlers, wait="60s") == worker
    assert queue.ensure_worker(types=["where"]) == worker
    assert queue.ensure_worker() == worker

    _, parent, folder, session = queue.enqueue("where").result("30s")
    assert (parent, folder, session) == (worker.pid, str(tmp_path), worker.pid)
    worker.stop(wait="30s")
    assert not worker.alive
    worker.stop()
    until(lambda: state_of(worker.pid) == "")  # no zombie is left


def test_a_worker_outlives_who_started_it(queue: Queue, handlers: Path) -> None:
    code = "import sys; from jobqueue import Queue; print(Queue(sys.argv[1]).ensure_worker(sys.argv[2], wait='60s').name)"
    command = [sys.executable, "-W", "error", "-c", code, queue.store.url, str(handlers)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [worker.name for worker in queue.workers()] == [ended.stdout.strip()]
    assert queue.enqueue("where").result("30s")


def test_two_who_find_none_start_one(queue: Queue, handlers: Path) -> None:
    found: list[WorkerHandle] = []
    threads = [
        threading.Thread(target=lambda: found.append(Queue(queue.store.url).ensure_worker(handlers, wait="60s")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert set(found) == set(queue.workers())
    assert len(queue.workers()) == 1


def test_a_worker_that_ends_at_once_says_why(queue: Queue, handlers: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerNotStarted, match="ended at once, with exit code 1") as caught:
        queue.ensure_worker(handlers, types=["mail"], wait="60s")
    assert "types: no handler for 'mail' was loaded" in str(caught.value)
    assert f"{tmp_path}/q/.jobqueue/output/worker-" in str(caught.value)


def test_a_worker_that_does_not_sign_on_is_ended(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)")
    with pytest.raises(WorkerNotStarted, match="had not signed on after 0.2 and was ended; give wait= more"):
        queue.ensure_worker("slow.py", types=["mail"], wait=0.2)
    assert queue.workers() == []


def test_what_cannot_be_started_is_refused(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(HandlerError, match=r"a new one needs handlers: give their module or file, such as handlers\.py"):
        queue.ensure_worker()
    with pytest.raises(HandlerError, match="wrong.py: no such file"):
        queue.ensure_worker("wrong.py")
    with pytest.raises(HandlerNotImportable, match="a lambda"):
        queue.ensure_worker(lambda: 0)
    with pytest.raises(Unsupported, match="no other process can see this queue"):
        Queue(":memory:").ensure_worker("handlers_seen.py")
    assert queue.workers() == []


def test_a_module_or_a_function_names_its_file(queue: Queue, handlers: Path) -> None:
    from jobqueue.queue.registry import Registry
    from jobqueue.queue.starting import sources_of

    registry = Registry.load(handlers)
    function = registry.get("where").function  # type: ignore[union-attr]
    module: ModuleType = sys.modules[function.__module__]
    assert sources_of([module, function, handlers]) == (str(handlers),)
    assert sources_of(None) == ()


def test_one_that_reloads_runs_what_its_file_says_now(queue: Queue, tmp_path: Path) -> None:
    file = tmp_path / "handlers_edited.py"
    code = "from jobqueue import handler\n@handler\ndef told():\n    return {number!r}\n"
    file.write_text(code.format(number=1))
    queue.ensure_worker(file, reload=True, wait="60s")
    assert queue.enqueue("told").result("60s") == 1
    file.with_suffix(".new").write_text(code.format(number="another"))
    file.with_suffix(".new").replace(file)
    until(lambda: queue.enqueue("told").result("60s") == "another")


# Stopped


def test_stop_waits_for_the_running_job_or_hands_it_back(queue: Queue, handlers: Path, tmp_path: Path) -> None:
    worker = queue.ensure_worker(handlers, wait="60s")
    job = queue.enqueue("gated", {"gate": str(tmp_path / "gate")})
    until(lambda: worker.running)
    with pytest.raises(StillRunning, match="has not ended in 0.1; it lets its running jobs finish"):
        worker.stop(wait=0.1)
    worker.stop(now=True, wait="30s")
    assert (job.status, job.attempts) == ("pending", 0)
