"""A process that is stopped (SIGSTOP) in the middle of anything: nothing of it is stolen, and nobody else has to wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.model.limit import Limit
from jobqueue.model.status import Status
from jobqueue.queue.config import Config
from jobqueue.store import files
from jobqueue.store.spool import Spool

from .crash_scenes import OPERATIONS, Scene, done, info, job

LIMITED = {"queue": Limit(concurrency=50)}
MOST_STEPS = 60


class Stopped:
    """A child that stops itself at the n-th step of `work`; `reached` is False where it ended before that."""

    def __init__(self, step: int, work: Callable[[], object]) -> None:
        self.pid = fork(lambda: stop_at(step, work))
        status = os.waitpid(self.pid, os.WUNTRACED)[1]
        self.reached = os.WIFSTOPPED(status)
        assert self.reached or os.waitstatus_to_exitcode(status) == 0

    def go_on(self) -> None:
        """It comes to its end, whatever others have done meanwhile."""
        os.kill(self.pid, signal.SIGCONT)
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) in (0, 3)


def fork(work: Callable[[], object]) -> int:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.alarm(60)
        work()
        code = 0
    except (OSError, AssertionError):
        code = 3  # what it wanted was done by somebody else meanwhile, and it was told so
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def stop_at(step: int, work: Callable[[], object]) -> None:
    left = [step]

    def probe(name: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            os.kill(os.getpid(), signal.SIGSTOP)

    files.probe = probe
    work()


def others_work(scene: Scene, ids: list[str]) -> None:
    """All that another process may want, under an alarm that ends it: adds, claims, finishes, cancels, rescues, sweeps."""
    spool = scene.open()
    owner = spool.join(info(limits=LIMITED))
    spool.put([job(id) for id in ids])
    spool.put([job("keyed", idempotency_key="theirs", concurrency_key="theirs", on_conflict="reject")])
    spool.put([job("cancelled")])
    assert spool.cancel(["cancelled"])[0].outcome == "changed"
    assert spool.retry(["cancelled"])[0].outcome == "changed"
    spool.rescue()
    wanted = {*ids, "keyed", "cancelled"}
    deadline = time.monotonic() + 20
    while wanted and time.monotonic() < deadline:
        claims = spool.claim(owner, limit=10)
        assert all(spool.apply([(claim, done(claim)) for claim in claims]))
        wanted -= {claim.job.id for claim in claims}
        if not claims:
            spool.wait(0.01)
    assert not wanted, f"never claimed: {wanted}"
    spool.sweep()
    assert spool.purge(["cancelled"])[0].outcome == "changed"
    spool.leave(owner)
    spool.close()


STOPPING = [name for name in OPERATIONS if name not in ("set-aside", "snoozed", "failed", "retried", "enqueue")]


@pytest.mark.parametrize("operation", STOPPING)
def test_nobody_waits_for_a_process_that_is_stopped(operation: str, tmp_path: Path) -> None:
    """At every other step: the odd ones of one operation, the even ones of the next."""
    stop_at_steps(operation, tmp_path, count(STOPPING.index(operation) % 2, 2))


@pytest.mark.slow
@pytest.mark.parametrize("operation", STOPPING)
def test_nobody_waits_for_a_process_that_is_stopped_at_any_step(operation: str, tmp_path: Path) -> None:
    stop_at_steps(operation, tmp_path, count())


def stop_at_steps(operation: str, tmp_path: Path, steps: Iterable[int]) -> None:
    prepare, operate = OPERATIONS[operation]
    before = Scene(tmp_path / "before", "relaxed")
    assert os.waitpid(fork(lambda: prepare(before, before.open())), 0)[1] == 0
    for step in steps:
        scene = before.copy(tmp_path / f"q{step}")
        child = Stopped(step, lambda scene=scene: operate(scene, scene.open()))
        if not child.reached:
            assert step >= 2
            return
        try:
            helper = fork(lambda scene=scene: others_work(scene, ["x", "y"]))
            assert os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1]) == 0, f"held up at step {step}"
        finally:
            child.go_on()
        check(scene)


def check(scene: Scene) -> None:
    with closing(scene.open()) as spool:
        spool.rescue()
        found = [located.job.id for located in spool.scan(limit=None).items]
        assert len(found) == len(set(found))
        assert spool.get("x").status is spool.get("y").status is Status.DONE
        assert not [name for name in os.listdir(scene.path / "claimed") if os.listdir(scene.path / "claimed" / name)]


def test_the_same_key_is_waited_for_and_made_once(tmp_path: Path) -> None:
    """Whoever asks for a key while its maker is stopped cannot know; as soon as that goes on, or dies, he is answered."""
    for signal_number in (signal.SIGCONT, signal.SIGKILL):
        path = tmp_path / signal_number.name
        Spool(path).close()
        child = Stopped(1, lambda path=path: Spool(path).put([job("first", idempotency_key="k")]))
        assert child.reached
        asked = fork(lambda path=path: Spool(path).put([job("second", idempotency_key="k")]))
        assert os.waitpid(asked, os.WNOHANG) == (0, 0)
        os.kill(child.pid, signal_number)
        os.kill(child.pid, signal.SIGCONT)
        os.waitpid(child.pid, 0)
        assert os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]) == 0
        with closing(Spool(path)) as spool:
            assert spool.counts()[Status.PENDING] == 1


HANDLERS = """
import os, time
from jobqueue import JobContext, handler

@handler(concurrency_key="{name}")
def slow(name, log, gate, ctx: JobContext):
    with open(log, "a") as file:
        file.write(f"start {ctx.id}\\n")
    while not os.path.exists(gate):
        time.sleep(0.01)
    return ctx.attempt

@handler
def quick():
    return 1
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    started: list[subprocess.Popen[bytes]] = []

    def run(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "ignore", "-m", "jobqueue.worker", "--queue", "q", "--handlers", "handlers.py"]
        with (tmp_path / "output").open("ab") as output:
            started.append(subprocess.Popen([*command, *options], cwd=tmp_path, stdout=output, stderr=output))
        return started[-1]

    yield run
    for one in started:
        one.send_signal(signal.SIGCONT)
        one.kill()
        one.wait()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


LONG = pytest.param(60.0, marks=[pytest.mark.slow, pytest.mark.timeout(300)])


@pytest.mark.parametrize("seconds", [1.5, LONG])
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_worker_that_is_stopped_for_long_keeps_its_job_and_holds_up_nobody(
    executor: str, seconds: float, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Rescue, limits, keys and the rest of the maintenance go on beside it; then it finishes what it had."""
    log, gate = tmp_path / "log", tmp_path / "gate"
    with Queue(tmp_path / "q", config=Config(durability="relaxed")) as queue:
        arguments = {"name": "one", "log": str(log), "gate": str(gate)}
        held = queue.with_options(concurrency_key="one").enqueue("slow", arguments)
        worker = start("--executor", executor)
        until(log.exists)
        worker.send_signal(signal.SIGSTOP)
        other = start("--executor", executor)
        behind = queue.with_options(concurrency_key="one").enqueue("slow", arguments)
        stopped_at, ran = time.monotonic(), 0
        while time.monotonic() - stopped_at < seconds:
            jobs = queue.enqueue_many("quick", [{}] * 5)
            keyed = queue.with_options(idempotency_key=f"k{ran}", concurrency_key="two").enqueue("quick")
            until(lambda jobs=jobs, keyed=keyed: all(job.status == "done" for job in (*jobs, keyed)))
            assert queue.store.rescue() == []
            queue.store.sweep()
            ran += 1
        assert ran > 0
        assert (queue.get(held.id).status, queue.get(behind.id).status) == ("claimed", "pending")
        worker.send_signal(signal.SIGCONT)
        gate.touch()
        until(lambda: queue.get(held.id).status == queue.get(behind.id).status == "done")
        assert (held.result(), behind.result()) == (1, 1)
        assert log.read_text().split() == ["start", held.id, "start", behind.id]
        for one in (worker, other):
            one.send_signal(signal.SIGTERM)
            assert one.wait(30) == 0
