"""A process ends at any step that changes the disk, the next one at any step of putting that right: nothing is lost,
torn or doubled, and what was acknowledged holds. A job is done exactly once unless its process ended between the run and
the moment in which the outcome was on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import pytest

from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.spool import Spool

from .crash_audit import Ledger, audit, places, work_off
from .crash_children import ENDED, count_steps, crash_after, in_child
from .crash_scenes import OPERATIONS, Scene

EACH = 53
"""In the usual run each first step meets every 53rd second step, each time with another beginning."""


@pytest.fixture(params=OPERATIONS)
def operation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a crash of a process needs no disk, and thousands of queues are made here."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


Work = Callable[[Scene, str], None]


def prepared(folder: Path, operation: str, durability: str) -> tuple[Scene, Ledger]:
    """What is there before the operation, made by a process that has ended."""
    scene = Scene(folder / "before", durability)
    assert in_child(lambda: OPERATIONS[operation][0](scene, scene.open())) == 0
    ledger = Ledger(scene)
    ledger.look()
    return scene, ledger


def operate(scene: Scene, operation: str) -> None:
    """The operation by a process that knows of nothing."""
    OPERATIONS[operation][1](scene, scene.open())


def recover(scene: Scene, operation: str) -> None:
    """What the next process does: it rescues, and tries the same operation."""
    spool = scene.open()
    spool.rescue()
    OPERATIONS[operation][1](scene, spool)


def ended_at(step: int, work: Work, scene: Scene, operation: str) -> int:
    def counted() -> None:
        files.probe = crash_after(step)
        work(scene, operation)

    return in_child(counted)


def crashed(before: tuple[Scene, Ledger], path: Path, step: int, operation: str, work: Work) -> tuple[bool, Scene, Ledger]:
    """A copy of the queue in which `work` was ended at this step; False where it came to its end before that."""
    scene = before[0].copy(path)
    ledger = before[1].copy(scene)
    code = ended_at(step, work, scene, operation)
    assert code in (0, ENDED)
    ledger.look()
    scene.again = True
    return code == ENDED, scene, ledger


def first_crashes(folder: Path, operation: str, durability: str) -> Iterator[tuple[int, tuple[Scene, Ledger]]]:
    before = prepared(folder, operation, durability)
    for step in count():
        was_ended, *after = crashed(before, folder / f"q{step}", step, operation, operate)
        if not was_ended:
            assert step >= 2
            return
        yield step, (after[0], after[1])
        rmtree(after[0].path)


def come_to_rest(scene: Scene, ledger: Ledger, operation: str) -> None:
    spool = audit(scene, operation)
    if operation == "rescue":
        check_rescued(spool)
    work_off(scene, spool, ledger)
    spool.close()


def check_rescued(spool: Spool) -> None:
    """An attempt is counted once, and a recorded outcome is not run again."""
    known = {id: spool.get(id) for id in "abc"}
    assert {id: (one.status, one.job.attempts) for id, one in known.items()} == {
        "a": (Status.FAILED, 1),
        "b": (Status.PENDING, 1),
        "c": (Status.DONE, 1),
    }
    assert known["a"].job.error is not None
    assert known["a"].job.error.reason == "crashed"
    assert known["c"].job.result == {"by": "c"}


@pytest.mark.parametrize("durability", ["strict", "relaxed"])
def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(operation: str, durability: str, folder: Path) -> None:
    for _, (scene, ledger) in first_crashes(folder, operation, durability):
        come_to_rest(scene, ledger, operation)


def second_crashes(folder: Path, operation: str, durability: str, each: int) -> int:
    """Every first step with every `each`-th step of the recovery after it, and with a whole one; how many pairs."""
    pairs = 0
    for first, after in first_crashes(folder, operation, durability):
        was_ended, second = True, first % each
        while was_ended:
            was_ended, scene, ledger = crashed(after, folder / "second", second, operation, recover)
            come_to_rest(scene, ledger, operation)
            rmtree(scene.path)
            scene.notes.unlink(missing_ok=True)
            pairs, second = pairs + was_ended, second + each
    return pairs


def test_a_crash_in_the_recovery_of_a_crash(operation: str, folder: Path) -> None:
    pairs = second_crashes(folder, operation, "relaxed", EACH)
    print(f"{operation}: {pairs} pairs of crashes")
    assert pairs >= 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("durability", "each"), [("relaxed", 1), ("strict", 4)])
def test_every_crash_in_the_recovery_of_every_crash(operation: str, durability: str, each: int, folder: Path) -> None:
    """The whole product; with its syncs, which are no more than further steps, every fourth of it."""
    pairs = second_crashes(folder, operation, durability, each)
    print(f"{operation}, {durability}: {pairs} pairs of crashes")
    assert pairs >= 10


def test_an_operation_that_fails_in_the_middle_gives_everything_back(operation: str, folder: Path) -> None:
    """The disk refuses one step after the other; the process lives on, and nothing is lost."""
    before, _ = prepared(folder, operation, "strict")
    steps = count_steps(lambda: operate(before.copy(folder / "count"), operation))
    for step in range(steps):
        scene = before.copy(folder / f"q{step}")
        assert in_child(lambda scene=scene, step=step: refuse(scene, step, operation)) == 0
        audit(scene, operation).close()


def refuse(scene: Scene, step: int, operation: str) -> None:
    spool = scene.open()
    left = [step]

    def probe(name: str) -> None:
        left[0] -= 1
        if left[0] == -1 and name != "unlink":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files.probe = probe
    with suppress(OSError, AssertionError):
        OPERATIONS[operation][1](scene, spool)
    files.probe = None
    spool.rescue()
    assert not os.listdir(scene.path / ".jobqueue" / "tmp")
    assert places(scene.path)
    spool.close()
