"""The disk, or the kernel, refuses the k-th call of an operation, for every k: a clear answer, and nothing lost or doubled."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from jobqueue.errors import JobQueueError
from jobqueue.model.job import Failure
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete, fail
from jobqueue.store.base import WorkerInfo
from jobqueue.store.spool import Spool
from jobqueue.testing import FakeClock

from .faults_calls import failing, open_descriptors
from .faults_scenes import OPERATIONS, Scene, job

ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EACCES]
MOST_CALLS = 400


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: the disk that refuses is not a real one, and thousands of queues are made."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


def cases(*numbers: int) -> list[Any]:
    return [
        pytest.param(
            operation,
            number,
            id=f"{operation}-{errno.errorcode[number]}",
        )
        for operation in OPERATIONS
        for number in numbers or ERRORS
    ]


@pytest.mark.parametrize(("operation", "number"), cases())
def test_whichever_call_fails_nothing_is_lost_and_a_second_try_works(operation: str, number: int, folder: Path) -> None:
    fail_at_each_call(operation, number, folder)


@pytest.mark.parametrize(("operation", "number"), cases(errno.EIO, errno.ENOSPC))
def test_whichever_two_calls_fail_nothing_is_lost(operation: str, number: int, folder: Path) -> None:
    fail_at_each_call(operation, number, folder, more=1)


@pytest.mark.parametrize(("operation", "number"), cases(errno.EIO, errno.ENOSPC, errno.EMFILE))
def test_a_disk_that_stays_broken_from_any_call_on_and_then_heals_has_lost_nothing(
    operation: str, number: int, folder: Path
) -> None:
    fail_at_each_call(operation, number, folder, every=True)


def fail_at_each_call(operation: str, number: int, folder: Path, **more: Any) -> None:
    prepare, operate, expected = OPERATIONS[operation]
    for at in count():
        assert at < MOST_CALLS
        scene = Scene(folder / f"q{at}")
        prepare(scene)
        before = scene.places()
        with failing(at, number, **more) as faults:
            error = try_once(scene, operate)
        known = scene.places()
        assert all(len(found) == 1 for found in known.values()), f"doubled after {faults.hit} failed: {known}"
        assert before.keys() <= known.keys(), f"lost after {faults.hit} failed"
        if error is None:
            assert {id: known[id] for id in expected} == {id: [place] for id, place in expected.items()}, faults.hit
        else:
            second_try(scene, operate, expected, f"{faults.hit} (call {at})")
        scene.spool.close()
        if not faults.hit:
            assert error is None, error
            return


def try_once(scene: Scene, operate: Callable[[Scene], None]) -> BaseException | None:
    """What was raised: an error of ours, or the system's own, and nothing else. An answer of less than all counts too."""
    try:
        operate(scene)
    except (JobQueueError, OSError, AssertionError) as error:
        return error
    return None


def second_try(scene: Scene, operate: Callable[[Scene], None], expected: dict[str, str], hit: str) -> None:
    """The fault is gone: what was left half done is taken back by a rescue, and the same operation works."""
    scene.spool.rescue()
    operate(scene)
    places = scene.places()
    for id, place in expected.items():
        assert places[id] == [place], f"{id} after {hit} failed"
    assert not os.listdir(scene.path / ".jobqueue" / "tmp"), f"a temporary file is left after {hit} failed"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_call_that_fails_leaves_no_descriptor_open(operation: str, folder: Path) -> None:
    prepare, operate, _ = OPERATIONS[operation]
    for at in count():
        before = open_descriptors()
        scene = Scene(folder / f"q{at}")
        prepare(scene)
        with failing(at, errno.EIO) as faults:
            try_once(scene, operate)
        scene.spool.close()
        assert open_descriptors() <= before, f"left open after {faults.hit} failed"
        if not faults.hit:
            return


HUNGRY = """
import os, resource, sys
from jobqueue import Queue
from jobqueue.errors import JobQueueError
queue = Queue(sys.argv[1])
first = queue.enqueue("scan", {"n": 0})
taken = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
refused = 0
for number in range(1, 12):
    try:
        queue.enqueue("scan", {"n": number})
        break
    except (JobQueueError, OSError) as error:
        assert "Too many open files" in str(error), error
        refused += 1
        os.close(taken.pop())
for one in taken:
    os.close(one)
print(refused, sum(queue.store.counts().values()))
"""


def test_a_process_without_descriptors_is_told_so_and_goes_on_when_it_has_some(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HUNGRY, tmp_path / "q"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    refused, jobs = map(int, ran.stdout.split())
    assert refused > 0
    assert jobs == 2


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_jumps_loses_nothing_and_doubles_nothing(hours: int, tmp_path: Path) -> None:
    clock = FakeClock()
    spool = Spool(tmp_path / "q", clock=clock, durability="relaxed")
    owner = spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=clock.now()))
    spool.put([job("a", max_attempts=3), job("b", max_attempts=3)], given_ids=True)
    (first,) = spool.claim(owner)
    clock.time += timedelta(hours=hours)
    run = Run(owner, first.claimed_at, clock.now())
    assert spool.apply([(first, fail(first.job, Failure(), run, delay=timedelta(0)))]) == [True]
    clock.time += timedelta(hours=-hours) + timedelta(hours=abs(hours))
    spool.wake()
    ran = []
    while claims := spool.claim(owner):
        ran += [claim.job.id for claim in claims]
        spool.apply([(one, complete(one.job, 1, Run(owner, one.claimed_at, clock.now()))) for one in claims])
    assert sorted(ran) == ["a", "b"]
    assert spool.counts()[Status.DONE] == 2
    spool.close()
