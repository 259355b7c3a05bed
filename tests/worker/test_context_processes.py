"""What a handler tells from a process of its own: it survives the death of that process and is seen by others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue

HANDLERS = '''
import logging, os, signal, time
from pathlib import Path
from jobqueue import JobContext, constant, handler

def wait_for(path):
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        assert time.monotonic() < deadline
        time.sleep(0.005)

@handler(retry=constant(0, attempts=3))
def loop(n, die_at, seen, ctx: JobContext):
    """Is killed at one of its items, in its first attempt."""
    for item in ctx.track(range(n), message="counting"):
        with open(seen, "a") as file:
            file.write(f"{ctx.attempt} {item}\\n")
        ctx.metric("items")
        if item == die_at and ctx.attempt == 1:
            while ctx.notes.progress(ctx.id).metrics != {"items": item + 1}:  # written a moment later, by a thread
                time.sleep(0.005)
            print("last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    return ctx.attempt

@handler
def talks(gate, ctx: JobContext):
    ctx.progress(40, "waiting")
    ctx.log("before the gate")
    os.system("echo from a shell")
    wait_for(gate)
    print("behind the gate")

@handler
def speaks_up(ctx: JobContext):
    for level in ("debug", "info", "error"):
        getattr(ctx.log, level)("said %s", level)
        getattr(logging.getLogger("library"), level)("told %s", level)

@handler
def follows(ctx: JobContext):
    return ctx.enqueue("loop", {"n": 0, "die_at": 0, "seen": ""}).id

@handler
def saves(seen, ctx: JobContext):
    before = ctx.state
    ctx.checkpoint({"pid": os.getpid()})
    report = Path(seen)
    report.write_text("report")
    ctx.artifact(report, "report.txt")
    if before is None:
        os._exit(7)
    return before
'''


@pytest.fixture
def context_workers(workers: Any) -> Any:
    workers.handlers.write_text(HANDLERS)
    return workers


def drained(workers: Any) -> None:
    code, output = workers.finish(workers.start("--drain"), 60)
    assert code == 0, output


def test_an_attempt_that_was_killed_in_a_loop_is_gone_on_with(context_workers: Any, queue: Queue, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    job = queue.enqueue("loop", {"n": 40, "die_at": 25, "seen": str(seen)})

    drained(context_workers)

    done = [tuple(map(int, line.split())) for line in seen.read_text().splitlines()]
    assert done == [(1, item) for item in range(26)] + [(2, item) for item in range(25, 40)]  # all that were recorded, once
    assert job.result() == 2
    assert [(row["key"], row["attempt"]) for row in job.items()] == [(n, 1) for n in range(25)] + [
        (n, 2) for n in range(25, 40)
    ]
    [crashed] = job.history
    assert (crashed.outcome, crashed.metrics, job.metrics) == ("crashed", {"items": 26}, {"items": 15})
    assert job.log().splitlines()[1] == "last words"


def test_a_job_says_how_much_of_logging_goes_into_its_log(context_workers: Any, queue: Queue) -> None:
    jobs = [queue.with_options(log_level=level).enqueue("speaks_up") for level in (None, "debug", "error", None)]

    drained(context_workers)

    heard = [[line.split(": ")[1] for line in job.log().splitlines()[1:]] for job in jobs]
    usual = ["said info", "told info", "said error", "told error"]
    assert heard == [usual, ["said debug", "told debug", *usual], ["said error", "told error"], usual]


def test_a_worker_that_was_killed_leaves_where_the_loop_stood(
    context_workers: Any, queue: Queue, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    seen = tmp_path / "seen"
    gate = tmp_path / "gate"
    job = queue.enqueue("talks", {"gate": str(gate)})
    worker = context_workers.start()
    wait_until(lambda: job.progress is not None)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    wait_until(lambda: queue.store.rescue() or job.status == "pending")

    assert (job.progress.percent, job.progress.message, job.progress.attempt) == (40, "waiting", 1)  # type: ignore[union-attr]
    assert queue.store.notes.progress(job.id) is None
    assert not seen.exists()


def test_a_running_job_is_followed_from_another_process(
    context_workers: Any, queue: Queue, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    gate = tmp_path / "gate"
    job = queue.enqueue("talks", {"gate": str(gate)})
    context_workers.start("--drain")
    program = f"from jobqueue import Queue; Queue({str(context_workers.queue_dir)!r}).last('talks').follow()"
    follower = context_workers.run([sys.executable, "-u", "-c", program])
    heard: list[str] = []
    while "[40 %, waiting]" not in heard or not any("shell" in line for line in heard):
        heard.append(follower.stdout.readline().rstrip("\n"))

    gate.touch()
    _, rest = context_workers.finish(follower)

    logged = [line for line in heard if not line.startswith("[")]  # the progress is said when it is seen
    assert logged[0].startswith(f"--- attempt 1, {job.claimed_at:%Y-%m-%d}")  # type: ignore[str-format]
    assert any(line.endswith("before the gate") for line in heard)
    assert "from a shell" in heard
    assert rest.splitlines()[0] == "behind the gate"
    assert rest.splitlines()[-1].startswith("Done ")


def test_ctrl_c_ends_the_following_and_the_job_goes_on(context_workers: Any, queue: Queue, tmp_path: Path) -> None:
    job = queue.enqueue("talks", {"gate": str(tmp_path / "gate")})
    context_workers.start("--drain")
    program = f"from jobqueue import Queue; Queue({str(context_workers.queue_dir)!r}).last('talks').follow()"
    follower = context_workers.run([sys.executable, "-u", "-c", program])
    while "gate" not in follower.stdout.readline():
        pass

    code, output = context_workers.stop(follower, signal.SIGINT)

    assert code == 0
    assert output.splitlines()[-1] == f"no longer following {job.id}; it goes on"
    assert job.status == "claimed"
    (tmp_path / "gate").touch()
    job.wait("30s")


def test_a_follow_up_from_a_process_lands_in_the_same_queue(context_workers: Any, queue: Queue) -> None:
    job = queue.with_options(project="p1", batch="b1").enqueue("follows")

    drained(context_workers)

    child = queue.get(job.result())
    assert (child.type, child.project, child.batch, child.status) == ("loop", "p1", "b1", "done")


def test_a_checkpoint_survives_the_death_of_its_process(context_workers: Any, queue: Queue, tmp_path: Path) -> None:
    job = queue.with_options(backoff=[0]).enqueue("saves", {"seen": str(tmp_path / "r")})

    drained(context_workers)

    assert job.result()["pid"] > 0
    assert queue.store.notes.checkpoint(job.id) is None
    assert Path(job.artifacts["report.txt"]["path"]).read_text() == "report"


def test_the_command_follows_to_the_end(context_workers: Any, queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    job = queue.enqueue("talks", {"gate": str(tmp_path / "gate")})
    command = [sys.executable, "-m", "jobqueue", "--queue", str(context_workers.queue_dir), "logs", job.id]
    follower = context_workers.run([*command, "-f"])

    drained(context_workers)
    code, output = context_workers.finish(follower)

    assert code == 0
    assert "behind the gate" in output.splitlines()
    shown = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert (shown["status"], shown["lines"][-1], shown["progress"]["percent"]) == ("done", "behind the gate", 100)
    assert os.listdir(context_workers.queue_dir / ".jobqueue/progress") == []
