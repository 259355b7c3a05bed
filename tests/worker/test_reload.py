"""`--reload`: a worker that starts anew when the code of its handlers changes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue

CODE = """
from jobqueue import handler
import neighbour

@handler
def version():
    return [{}, neighbour.VERSION]
"""
GATED = """
import os, time
from jobqueue import handler

@handler
def gated(started, gate):
    open(started, "w").close()
    while not os.path.exists(gate):
        time.sleep(0.01)
    return {}
"""


@pytest.fixture
def code(workers: Any) -> Path:
    write(workers.folder / "neighbour.py", "VERSION = 1")
    file = workers.folder / "code.py"
    write(file, CODE.format(1))
    workers.handlers = file
    return Path(file)


def write(file: Path, text: str) -> None:
    """As an editor does: never a half-written file. The size changes too, should the clock be coarse."""
    new = file.with_suffix(".new")
    new.write_text(text + "\n#" + "x" * (new.parent.stat().st_mtime_ns % 97))
    os.replace(new, file)


def version(queue: Queue, wait_until: Any) -> Any:
    job = queue.enqueue("version")
    wait_until(lambda: queue.get(job.id).status == "done")
    return queue.get(job.id).located.job.result


@pytest.mark.parametrize("executor", ["process", "inline"])
def test_a_changed_handler_or_module_runs_in_the_next_job(
    queue: Queue, workers: Any, code: Path, executor: str, wait_until: Any
) -> None:
    worker = workers.start("--reload", "--executor", executor)
    assert version(queue, wait_until) == [1, 1]
    write(code, CODE.format(2))
    wait_until(lambda: version(queue, wait_until) == [2, 1])
    write(code.with_name("neighbour.py"), "VERSION = 2")
    wait_until(lambda: version(queue, wait_until) == [2, 2])
    code_of_exit, output = workers.stop(worker)
    assert code_of_exit == 0, output
    assert "code.py changed: starting anew" in output
    assert queue.stats().failed == 0


def test_code_that_cannot_be_imported_is_waited_for(queue: Queue, workers: Any, code: Path, wait_until: Any) -> None:
    write(code, "from jobqueue import handler\nimport nowhere_at_all")
    worker = workers.start("--reload", "--executor", "inline")
    lines: list[str] = []
    while not any("waiting for a change" in line for line in lines):
        lines.append(worker.stdout.readline())
        assert lines[-1], lines
    assert any("nowhere_at_all" in line for line in lines)
    write(code, CODE.format(3))
    assert version(queue, wait_until) == [3, 1]
    assert workers.stop(worker)[0] == 0


def test_a_running_job_finishes_with_the_old_code(
    queue: Queue, workers: Any, code: Path, tmp_path: Path, wait_until: Any
) -> None:
    write(code, GATED.format(1))
    worker = workers.start("--reload")
    started, gate = tmp_path / "started", tmp_path / "gate"
    job = queue.enqueue("gated", {"started": str(started), "gate": str(gate)})
    wait_until(started.exists)
    write(code, GATED.format(2))
    gate.touch()
    wait_until(lambda: queue.get(job.id).status == "done")
    assert (queue.get(job.id).located.job.result, queue.get(job.id).located.job.attempts) == (1, 1)
    after = queue.enqueue("gated", {"started": str(started), "gate": str(gate)})
    wait_until(lambda: queue.get(after.id).status == "done")
    assert workers.stop(worker, signal.SIGTERM)[0] == 0


def test_without_the_option_nothing_is_looked_at(queue: Queue, workers: Any, code: Path, wait_until: Any) -> None:
    worker = workers.start("--executor", "inline")
    assert version(queue, wait_until) == [1, 1]
    write(code, CODE.format(2))
    assert [version(queue, wait_until) for _ in range(3)] == [[1, 1]] * 3
    assert workers.stop(worker)[0] == 0
