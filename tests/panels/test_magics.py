"""%queue, %jobs, %worker and %%job, in a shell of their own; a cell runs in a real worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from jobqueue import Queue
from jobqueue.errors import JobFailed
from jobqueue.queue import cells


@pytest.fixture
def shell(queue: Queue) -> Iterator[InteractiveShell]:
    main = sys.modules["__main__"]
    made = InteractiveShell()
    made.extension_manager.load_extension("jobqueue")
    made.run_line_magic("queue", queue.store.url)
    yield made
    for worker in queue.workers():
        worker.stop(wait="30s")
    made.restore_sys_module_state()
    sys.modules["__main__"] = main  # a shell puts its own in place, and other tests would take themselves for a notebook


@pytest.fixture
def ready(shell: InteractiveShell, queue: Queue) -> InteractiveShell:
    shell.run_line_magic("worker", "start --cells")
    return shell


def test_which_queue(shell: InteractiveShell, queue: Queue) -> None:
    assert shell.run_line_magic("queue", "").store.url == queue.store.url


@pytest.mark.filterwarnings("ignore::jobqueue.errors.NoWorkerWarning")
def test_jobs_are_a_frame(shell: InteractiveShell, queue: Queue) -> None:
    queue.enqueue(
        "scan",
        {"repo": "a"},
    )
    queue.with_options(project="p1").enqueue("score", {"n": 1})
    assert list(shell.run_line_magic("jobs", "").type) == ["scan", "score"]
    assert list(shell.run_line_magic("jobs", "pending -p p1").type) == ["score"]
    assert len(shell.run_line_magic("jobs", "done")) == 0
    with pytest.raises(UsageError, match="finished"):
        shell.run_line_magic("jobs", "finishedd")


def test_a_cell_runs_in_a_worker(ready: InteractiveShell, queue: Queue) -> None:
    ready.user_ns["limit"] = 4
    lines = "total = 0\nfor n in range(limit):\n    total += n\nprint('adding')\ntotal"
    assert ready.run_cell_magic("job", "--with limit --wait", lines) == 6
    (job,) = queue.jobs("done")
    assert job.record.payload["variables"] == {"limit": 4}
    assert "adding" in job.log()
    ready.run_cell_magic("job", "--result total --out job", "total = [1, 2]\nNone")
    assert ready.user_ns["job"].result("30s") == [1, 2]
    ready.run_cell_magic("job", "--wait --out answer", "6 * 7")
    assert ready.user_ns["answer"] == 42


def test_a_cell_that_fails_shows_its_own_lines(ready: InteractiveShell, queue: Queue) -> None:
    ready.run_cell_magic("job", "--out job", "x = 1\nx / 0")
    job = ready.user_ns["job"]
    queue.get(job.id)
    with pytest.raises(JobFailed):
        queue.with_options(max_attempts=1).enqueue(cells.CELL, {"source": "x = 1\nx / 0"}).result("30s")
    (failed,) = queue.jobs("failed")
    assert "x / 0" in failed.error.traceback
    assert failed.error.type == "ZeroDivisionError"
    with pytest.raises(UsageError, match="line 1: invalid syntax"):
        ready.run_cell_magic("job", "--wait", "for")
    with pytest.raises(UsageError, match="nothing called 'y'"):
        ready.run_cell_magic("job", "--wait --result y", "x = 1")


def test_without_a_worker_that_allows_it_nothing_is_enqueued(shell: InteractiveShell, queue: Queue) -> None:
    with pytest.raises(UsageError, match="%worker start --cells"):
        shell.run_cell_magic("job", "", "1 + 1")
    assert len(queue) == 0


@pytest.mark.filterwarnings("ignore::jobqueue.errors.NoWorkerWarning")
def test_with_a_type_the_cell_is_the_payload(shell: InteractiveShell, queue: Queue) -> None:
    shell.user_ns["n"] = 3
    job = shell.run_cell_magic("job", "scan", "{'n': n + 1}\n")
    assert (job.record.type, job.record.payload) == ("scan", {"n": 4})
    with pytest.raises(UsageError, match="must be a dict"):
        shell.run_cell_magic("job", "scan", "3")


@pytest.mark.parametrize(("names", "message"), [("nowhere", "nothing called 'nowhere'"), ("thing", "thing is no JSON")])
def test_variables_that_cannot_go_along(ready: InteractiveShell, queue: Queue, names: str, message: str) -> None:
    ready.user_ns["thing"] = object()
    with pytest.raises(UsageError, match=message):
        ready.run_cell_magic("job", f"--with {names}", "1")
    assert len(queue) == 0


def test_the_worker_comes_and_goes(shell: InteractiveShell, queue: Queue) -> None:
    assert shell.run_line_magic("worker", "") == []
    worker = shell.run_line_magic("worker", "start --cells -c 2")
    assert worker.concurrency == 2
    assert shell.run_line_magic("worker", "status") == [worker]
    assert shell.run_line_magic("worker", "stop") == []


@pytest.mark.filterwarnings("ignore::jobqueue.errors.NoWorkerWarning")
def test_completion(shell: InteractiveShell, queue: Queue) -> None:
    job = queue.enqueue("scan", {})
    assert queue._ipython_key_completions_() == [job.id]
    assert queue[job.id] == job
    with provisionalcompleter():
        found = [completion.text for completion in shell.Completer.completions("%jobs ", 6)]
    assert {"scan", "pending"} <= set(found)


def test_help_is_complete(shell: InteractiveShell) -> None:
    text: Any = shell.find_cell_magic("job").__doc__
    for word in ("--with", "--wait", "--out", "--result", "%worker start --cells"):
        assert word in text
