"""What the tests of the spool share: waiting on conditions, a bench that works a folder, and children that may be killed."""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete
from jobqueue.store import claiming, files, strangers
from jobqueue.store.base import Claim, WorkerInfo
from jobqueue.store.spool import Spool


def now() -> datetime:
    return datetime.now(timezone.utc)


def until(condition: Callable[[], Any], seconds: float = 15.0, step: Callable[[], object] | None = None) -> Any:
    """Waits for a condition; fails when it has not come true in a time that is far more than enough."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        step() if step is not None else time.sleep(0.005)
    return answer


class Bench:
    """A spool with one owner that completes whatever it can claim; `ran` are the ids in the order of their claims."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.spool = Spool(path, **({"durability": "relaxed", "settle_time": 0.1} | options))
        self.owner = self.spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=now()))
        self.ran: list[str] = []
        self.jobs: list[Job] = []

    @property
    def pending(self) -> Path:
        return self.path / "pending"

    def names(self, status: str) -> set[str]:
        return set(os.listdir(self.path / status))

    def drop(self, name: str, data: bytes | str = '{"type": "scan"}') -> Path:
        """A file that appears in one step, with its bytes, as `mv` brings it."""
        temporary = self.path / ".jobqueue" / "tmp" / "drop"
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        temporary.rename(self.pending / name)
        return self.pending / name

    def claim(self, limit: int = 10, **options: Any) -> list[Claim]:
        return self.spool.claim(self.owner, limit=limit, **options)

    def finish(self, claim: Claim, result: Any = None) -> bool:
        run = Run(self.owner, claim.claimed_at, now())
        return self.spool.apply([(claim, complete(claim.job, result, run))])[0]

    def work(self) -> list[str]:
        """One pass: claims what is due and completes it."""
        claims = self.claim()
        self.jobs += [claim.job for claim in claims]
        self.ran += [claim.job.id for claim in claims]
        kept = [self.finish(claim) for claim in claims]
        assert all(kept)
        return [claim.job.id for claim in claims]

    def work_until(self, condition: Callable[[], Any]) -> Any:
        return until(condition, step=lambda: self.work() or self.spool.wait(0.02))

    def close(self) -> None:
        self.spool.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "q")
    yield made
    made.close()


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(path: Path = tmp_path / "q", **options: Any) -> Bench:
        made.append(Bench(path, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that claiming has looked at, in order."""
    seen: list[str] = []
    original = claiming.look

    def counted(folder: int, name: str, *rest: Any, **options: Any) -> Any:
        seen.append(name)
        return original(folder, name, *rest, **options)

    monkeypatch.setattr(claiming, "look", counted)
    monkeypatch.setattr(strangers, "look", counted)
    return seen


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[str], int]:
    """How many log lines hold a text."""
    caplog.set_level(logging.INFO, "jobqueue")
    return lambda text: sum(text in record.getMessage() for record in caplog.records)


def run_forked(work: Callable[[], object], *, crash_at: int | None = None) -> int:
    """Runs `work` in a forked child: 0 when it returned, 9 when it was ended at that step, 1 when it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(60)
        if crash_at is not None:
            files.probe = crash_after(crash_at)
        work()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def crash_after(steps: int) -> Callable[[str], None]:
    left = [steps]

    def probe(name: str) -> None:
        if left[0] == 0:
            os._exit(9)
        left[0] -= 1

    return probe


@pytest.fixture
def forked() -> Callable[..., int]:
    return run_forked


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that change the disk, in order, from here on."""
    steps: list[str] = []
    monkeypatch.setattr(files, "probe", steps.append)
    return steps


@pytest.fixture
def places() -> Callable[[Path], dict[str, list[str]]]:
    """Where every job file of a queue lies: its name, and the folders that hold it."""

    def look(path: Path) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for status in Status:
            for folder, _, names in os.walk(path / status.value):
                for name in names:
                    if name.endswith(".json"):
                        found.setdefault(name, []).append(os.path.relpath(folder, path))
        return found

    return look
