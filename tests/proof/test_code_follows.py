"""The code takes exactly the steps of the model's programs, in their order: neither can change alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue.store import files
from jobqueue.store.spool import Spool

from . import code_steps as code
from .model_disk import Body
from .model_scenes import CLAIMED_BY_DEAD, FINISHED, PURGER, RECORDED, RETRIER, WAITING, enqueuer, rescuer, worker
from .model_search import Process, Scene

ROOT = Path(__file__).parents[2]
MANY = tuple((f"x{number}", f"x{number}") for number in range(5))


def nothing(spool: Spool) -> None:
    pass


Prepare = Callable[[Spool], Any]
OPERATIONS: dict[str, tuple[Prepare, Callable[[Spool], Any], Scene]] = {
    "enqueue": (nothing, code.put, Scene((), (enqueuer(("a", "x")),), ())),
    "enqueue many": (
        nothing,
        lambda spool: spool.put([code.job(name) for name, _ in MANY]),
        Scene((), (enqueuer(*MANY, group=True),), ()),
    ),
    "done": (code.put_and_join, code.work("done"), Scene(WAITING, (worker("w", "done"),), ())),
    "failed": (code.put_and_join, code.work("failed"), Scene(WAITING, (worker("w", "failed"),), ())),
    "again": (code.put_and_join, code.work("again"), Scene(WAITING, (worker("w", "again"),), ())),
    "rescue": (code.put_and_die, lambda spool: spool.rescue(), Scene(CLAIMED_BY_DEAD, (rescuer("s", "w"),), ())),
    "roll forward": (code.record_and_die, lambda spool: spool.rescue(), Scene(RECORDED, (rescuer("s", "w"),), ())),
    "roll forward, marked": (
        code.record_mark_and_die,
        lambda spool: spool.rescue(),
        Scene((*RECORDED, ("cancel/x", "stop")), (rescuer("s", "w"),), ()),
    ),
    "cancel": (code.put, lambda spool: spool.cancel(["x"]), Scene(WAITING, (Process("c", "cancel", ("x", 2)),), ())),
    "cancel, running": (
        code.put_and_claim,
        lambda spool: spool.cancel(["x"]),
        Scene((("claimed/w/x", Body("a")),), (Process("c", "cancel", ("x", 2)),), ()),
    ),
    "retry": (code.put_and_finish, lambda spool: spool.retry(["x"]), Scene(FINISHED, (RETRIER,), ())),
    "purge": (code.put_and_finish, lambda spool: spool.purge(["x"]), Scene(FINISHED, (PURGER,), ())),
}


def expected(operation: str, durability: str) -> list[str]:
    naive = frozenset({"sync file", "sync folder"}) if durability == "relaxed" else frozenset[str]()
    return code.model_steps(OPERATIONS[operation][2], naive)


@pytest.mark.parametrize("durability", ["strict", "relaxed"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_code_takes_the_steps_of_the_model(
    operation: str, durability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, act, _ = OPERATIONS[operation]
    spool = Spool(tmp_path / "q", durability=durability)
    prepare(spool)
    recorder = code.Recorder(tmp_path / "q")
    monkeypatch.setattr(files, "probe", recorder)
    act(spool)
    monkeypatch.setattr(files, "probe", None)
    assert recorder.steps == expected(operation, durability)
    spool.close()


def run_marked(operation: str, path: str, durability: str) -> None:
    """In a process of its own, under strace: the operation between two marks."""
    prepare, act, _ = OPERATIONS[operation]
    spool = Spool(path, durability=durability)
    prepare(spool)
    print("start", flush=True)
    act(spool)
    print("stop", flush=True)


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
@pytest.mark.parametrize("durability", ["strict", "relaxed"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_kernel_sees_the_steps_of_the_model(operation: str, durability: str, tmp_path: Path) -> None:
    """What the probe cannot see, because it goes past it, is seen here."""
    trace, queue = tmp_path / "trace", tmp_path / "q"
    script = f"from tests.proof.test_code_follows import run_marked; run_marked({operation!r}, {str(queue)!r}, {durability!r})"
    calls = "openat,write,fsync,fdatasync,syncfs,renameat2,rename,renameat,unlink,unlinkat"
    command = ["strace", "-f", "-y", "-e", f"trace={calls}", "-o", str(trace), sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    if ran.returncode and not queue.exists():
        pytest.skip(f"strace does not work here: {ran.stderr[-300:]}")
    assert ran.returncode == 0, ran.stderr
    assert code.kernel_steps(trace.read_text(), queue) == expected(operation, durability)
