"""A shell over a queue folder, in this process; and a worker that does what a test tells it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobqueue.cli import program
from jobqueue.model.job import Failure
from jobqueue.model.retry import Backoff, RetryPolicy
from jobqueue.model.transition import Run, complete, fail
from jobqueue.queue.queue import Queue
from jobqueue.store.base import WorkerInfo


@dataclass
class Shell:
    """`shell("list")` runs a command on the queue of the test and checks its exit code."""

    folder: Path

    def __call__(self, *arguments: str, code: int = 0, input: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(program, ["--queue", str(self.folder), *arguments], input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str, code: int = 0, input: str | bytes | None = None) -> Any:
        return json.loads(self(*arguments, "--json", code=code, input=input).stdout)

    def error(self, *arguments: str, input: str | None = None) -> str:
        """The one line of an expected failure."""
        result = self(*arguments, code=1, input=input)
        lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")

    def usage(self, *arguments: str) -> str:
        """What is said of a wrong call; white space as it comes."""
        return " ".join(self(*arguments, code=2).stderr.split())

    def add(self, *arguments: str) -> str:
        """The id of a new job."""
        outcome, id = self("enqueue", *arguments).stdout.split()
        assert outcome == "created"
        return id


@dataclass
class Crew:
    """A live worker that claims jobs and ends them at once."""

    queue: Queue
    owner: str

    def claim(self) -> Any:
        (claim,) = self.queue.store.claim(self.owner, limit=1)
        return claim

    def done(self, result: Any = None) -> str:
        claim = self.claim()
        self.queue.store.apply([(claim, complete(claim.job, result, self.run(claim)))])
        return str(claim.job.id)

    def fail(self, message: str = "no luck", *, attempts: int = 1, wait: float = 0, **error: Any) -> str:
        claim = self.claim()
        policy = RetryPolicy(attempts=attempts, backoff=Backoff(steps=(wait,), jitter=0.0))
        self.queue.store.apply([(claim, fail(claim.job, Failure(message=message, **error), self.run(claim), policy=policy))])
        return str(claim.job.id)

    def run(self, claim: Any) -> Run:
        return Run(self.owner, claim.claimed_at, datetime.now(timezone.utc))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside; the current folder is empty."""
    for name in [name for name in os.environ if name.startswith("JOBQUEUE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "q")
    shell("init")
    return shell


@pytest.fixture
def queue(shell: Shell) -> Iterator[Queue]:
    with Queue(shell.folder) as queue:
        yield queue


@pytest.fixture
def crew(queue: Queue) -> Iterator[Crew]:
    info = WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=datetime.now(timezone.utc), types=None)
    owner = queue.store.join(info)
    yield Crew(queue, owner)
    queue.store.leave(owner)
