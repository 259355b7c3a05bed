"""Jobs that run in this very process: `drain`, `run_here` and the notebook about a job."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jobqueue import JobContext, Queue, current_job, handler
from jobqueue.errors import HandlerError, InvalidJob, JobQueueError
from jobqueue.queue.config import Config
from jobqueue.queue.here import Bar
from jobqueue.testing import FakeClock
from jobqueue.testing import drain as drain_with

HANDLERS = """
from jobqueue import handler

@handler
def divide(a: int, b: int) -> float:
    return a / b
"""


@handler
def score(n: int) -> int:
    return 10 * n


@handler
def broken(n: int) -> None:
    raise ZeroDivisionError(n)


@handler
def interrupted() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(60)
    return "not reached"


@handler
def resumes(ctx: JobContext) -> list[Any]:
    seen = [ctx.state, ctx.attempt, current_job() is ctx]
    ctx.progress(50)
    ctx.checkpoint({"row": 8})
    ctx.enqueue("score", {"n": 1})
    return [*seen, ctx.state]


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.chdir(tmp_path)
    return Queue(tmp_path / "q", config=Config(durability="relaxed", settle_time=0.05))


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """`score` is a function of the main program, as in a notebook."""
    monkeypatch.setattr(sys.modules["__main__"], "score", score, raising=False)


def counts(drained: Any) -> tuple[int, int, int]:
    return drained.done, drained.failed, drained.left


# drain


def test_drain_runs_what_is_due_with_the_functions_of_the_notebook(queue: Queue, cells: None) -> None:
    jobs = queue.enqueue_many("score", [{"n": n} for n in range(3)])
    other, later = queue.enqueue("mail"), queue.enqueue("score", {"n": 5}, delay="1h")

    drained = queue.drain()

    assert counts(drained) == (3, 0, 2)
    assert repr(drained).startswith("<Drained: 3 done, 0 failed, 2 left, in ")
    assert jobs.results() == [0, 10, 20]
    assert (other.status, other.attempts, later.status) == ("pending", 0, "pending")
    assert queue.workers() == []


def test_drain_takes_the_handlers_of_the_settings_and_a_cell_goes_before_them(tmp_path: Path, cells: None) -> None:
    file = tmp_path / "tools_of_drain.py"
    file.write_text(HANDLERS + "\n@handler\ndef score(n: int) -> int:\n    return 0\n")
    queue = Queue(tmp_path / "q", config=Config(handlers=(str(file),), settle_time=0.05))
    divided, scored = queue.enqueue("divide", {"a": 1, "b": 2}), queue.enqueue("score", {"n": 1})
    assert counts(queue.drain()) == (2, 0, 0)
    assert (divided.result(), scored.result()) == (0.5, 10)


def test_drain_counts_failures(queue: Queue) -> None:
    queue.enqueue("broken", {"n": 1}, max_attempts=1)
    queue.enqueue("broken", {"n": 2}, max_attempts=5, backoff="1h")
    assert counts(queue.drain([broken], progress=False)) == (0, 1, 1)


def test_drain_without_handlers_is_refused(queue: Queue) -> None:
    with pytest.raises(HandlerError, match=r"no handlers are at hand: give them, as in drain\(\[score\]\)"):
        queue.drain()


def test_ctrl_c_ends_a_drain_and_gives_the_attempt_back(queue: Queue) -> None:
    first, second = queue.enqueue("interrupted"), queue.enqueue("score", {"n": 1})
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        queue.drain([interrupted, score])
    assert signal.getsignal(signal.SIGINT) is before
    assert (first.status, first.attempts, second.status) == ("pending", 0, "pending")
    assert counts(queue.drain([score])) == (1, 0, 1)


def test_a_drain_ends_when_its_time_is_up(queue: Queue) -> None:
    queue.enqueue_many("score", [{"n": 1}] * 5)
    assert queue.drain([score], timeout=0).left > 0
    assert counts(queue.drain([score], timeout="1m"))[2] == 0


def test_a_bar_is_shown_only_where_it_takes_long(queue: Queue, capfd: pytest.CaptureFixture[str]) -> None:
    with Bar(queue, wanted=True) as bar:
        bar.show(1)
        assert bar.update is None
        bar.starts_at = 0.0
        bar.show(1)
        assert bar.update is not None
    with Bar(queue, wanted=False) as bar:
        bar.starts_at = 0.0
        bar.show(1)
        assert bar.update is None
    assert capfd.readouterr().out == ""


# run_here


def test_a_failed_job_runs_here_with_its_exact_payload(queue: Queue) -> None:
    job = queue.enqueue("broken", {"n": 7}, max_attempts=1)
    queue.drain([broken])
    before = job.record

    with pytest.raises(ZeroDivisionError, match="7") as caught:
        job.run_here(broken)

    assert caught.traceback[-1].name == "broken"
    assert (job.record, job.status) == (before, "failed")
    assert job.run_here(lambda n: n + 1) == 8


def test_run_here_finds_the_handler(queue: Queue, tmp_path: Path, cells: None) -> None:
    assert queue.enqueue("score", {"n": 2}).run_here() == 20
    (tmp_path / "tools_of_run_here.py").write_text(HANDLERS)
    job = queue.enqueue("divide", {"a": 1, "b": 4})
    assert job.run_here("tools_of_run_here.py") == 0.25
    with pytest.raises(HandlerError, match=r"no handler for the type 'divide' is at hand \(there are: score\)"):
        job.run_here()
    with pytest.raises(InvalidJob, match="no argument 'a'"):
        job.run_here(score)


def test_what_a_handler_tells_its_context_stays_here(queue: Queue) -> None:
    job = queue.enqueue("resumes", max_attempts=1)
    queue.store.notes.set_checkpoint(job.id, {"round": 0, "state": {"row": 3}})

    with pytest.warns(UserWarning, match="go to a queue in memory, which nobody runs"):
        assert job.run_here(resumes) == [{"row": 3}, 1, True, {"row": 8}]

    assert queue.store.notes.checkpoint(job.id) == {"round": 0, "state": {"row": 3}}
    assert (job.progress, len(queue)) == (None, 1)
    with pytest.raises(JobQueueError, match="no job runs here"):
        current_job()


# to_notebook


def failed_division(queue: Queue, tmp_path: Path) -> Any:
    job = queue.enqueue("divide", {"a": 1, "b": 0, "text": "``` `x` </script> \x1b é"}, max_attempts=1)

    @handler
    def divide(a: int, b: int, text: str) -> float:
        return a / b

    drain_with(queue, [divide])
    assert job.status == "failed"
    return job


def test_a_notebook_about_a_job_is_valid_and_says_it_all(queue: Queue, tmp_path: Path) -> None:
    job = failed_division(queue, tmp_path)
    path = job.to_notebook("job.ipynb")
    document = nbformat.read(path, as_version=4)
    nbformat.validate(document)
    text = "\n".join(cell.source for cell in document.cells)
    assert "ZeroDivisionError: division by zero" in text
    assert f"job = queue.get({job.id!r})" in text
    assert f"payload = {job.payload!r}" in text.replace("\n           ", "")
    with pytest.raises(FileExistsError):
        job.to_notebook("job.ipynb")
    assert json.loads(path.read_text())["nbformat"] == 4


def test_a_fence_is_longer_than_any_in_what_it_holds() -> None:
    from jobqueue.queue.notebook_of import fenced, quoted

    assert fenced("a ```` b") == "`````text\na ```` b\n`````"
    assert quoted("x`<b>") == "`x??b?`"


def test_a_notebook_about_a_job_runs(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    (tmp_path / "tools_of_notebook.py").write_text(HANDLERS)
    config = Config(durability="relaxed", handlers=(str(tmp_path / "tools_of_notebook.py"),))
    with Queue(tmp_path / "q", config=config, clock=FakeClock()) as queue:
        path = queue.enqueue("divide", {"a": 1, "b": 4}).to_notebook(tmp_path / "job.ipynb")

    document = nbformat.read(path, as_version=4)
    NotebookClient(document, timeout=100, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    shown = [output["data"]["text/plain"] for cell in document.cells for output in cell.get("outputs", ())]
    assert shown[0].startswith("<Job ")
    assert shown[1:3] == ["True", "0.25"]
