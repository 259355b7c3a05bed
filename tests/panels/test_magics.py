"""%queue, %jobs, %worker, %%job and %%handlers, in a shell of their own; a cell runs in a real worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from jobqueue import Queue
from jobqueue.errors import JobFailed
from jobqueue.queue import cells


@pytest.fixture
def shell(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)  # of whoever runs the tests: it may be another one, and IPython warns
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


@pytest.mark.filterwarnings("ignore::jobqueue.errors.NoWorkerWarning")
def test_a_worker_for_cells_leaves_other_jobs_to_others(ready: InteractiveShell, queue: Queue) -> None:
    other = queue.enqueue("other")
    assert ready.run_cell_magic("job", "--wait", "1 + 1") == 2
    assert other.status == "pending"


def test_a_worker_that_would_fail_a_cell_keeps_it_from_being_queued(
    ready: InteractiveShell, queue: Queue, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text("from jobqueue import handler\n\n\n@handler\ndef own(): ...\n")
    other = queue.ensure_worker(tmp_path / "own.py")
    with pytest.raises(UsageError, match=f"{other.name} takes jobs of every type and would fail this one"):
        ready.run_cell_magic("job", "", "1")
    assert len(queue) == 0
    ready.run_line_magic("worker", "stop")
    ready.run_line_magic("worker", f"start {tmp_path / 'own.py'} --cells")
    assert ready.run_cell_magic("job", "--wait", "1 + 1") == 2


def test_a_cell_that_fails_shows_its_own_lines(ready: InteractiveShell, queue: Queue) -> None:
    ready.run_cell_magic("job", "--out job", "x = 1\nx / 0")
    job = ready.user_ns["job"]
    queue.get(job.id)
    with pytest.raises(JobFailed):
        queue.with_options(max_attempts=1).enqueue(cells.CELL, {"source": "x = 1\nx / 0"}).result("30s")
    (failed,) = queue.jobs("failed")
    assert "x / 0" in failed.error.traceback
    assert failed.error.type == "ZeroDivisionError"
    with pytest.raises(UsageError, match="nothing called 'y'"):
        ready.run_cell_magic("job", "--wait --result y", "x = 1")


def test_a_cell_that_cannot_work_there_is_refused_here(ready: InteractiveShell, queue: Queue) -> None:
    ready.user_ns.update(rows=[1], limit=4)
    with pytest.raises(UsageError, match="uses limit, rows of this notebook: give them along, with --with limit,rows"):
        ready.run_cell_magic("job", "", "[n for n in rows if n < limit]")
    with pytest.raises(UsageError, match="uses limit of this notebook: give them along, with --with rows,limit"):
        ready.run_cell_magic("job", "--with rows", "[n for n in rows if n < limit]")
    with pytest.raises(UsageError, match="line 2: invalid syntax; a job is plain Python, without % and !"):
        ready.run_cell_magic("job", "", "x = 1\n!ls")
    assert len(queue) == 0
    with pytest.raises(UsageError, match="name 'nobody' is not defined"):
        ready.run_cell_magic("job", "--wait", "nobody")


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("a + 1", {"a"}),
        ("import os, json as j\nos.getcwd(), j", set()),
        ("def f(x, *y):\n    return x + z\nf(2)", {"z"}),
        ("[n for n in rows]", {"rows"}),
        ("print(len('x')); ctx.log(__name__)", set()),
        ("class A(B):\n    c = d\n    def m(self): return e, self.f", {"B", "d", "e"}),
        ("x = 1\nlambda: x", set()),
        ("try:\n    g()\nexcept E as e:\n    print(e)", {"g", "E"}),
        ("for i, (j, k) in pairs:\n    i + j + k", {"pairs"}),
        ("with opened as file:\n    file.read()", {"opened"}),
    ],
)
def test_what_a_cell_needs(source: str, needed: set[str]) -> None:
    assert cells.needs(source) == needed


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
    with pytest.raises(UsageError, match=r"a new one needs handlers: give their module or file, such as handlers\.py"):
        shell.run_line_magic("worker", "start")
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
        queue.with_options(project="p1").enqueue("scan", {})
        ours = [completion.text for completion in shell.Completer.completions("%jobs -p ", 9)]
    assert {"scan", "pending"} <= set(found)
    assert "p1" in ours


def test_help_is_complete(shell: InteractiveShell) -> None:
    text: Any = shell.find_cell_magic("job").__doc__
    for word in ("--with", "--wait", "--out", "--result", "%worker start --cells"):
        assert word in text


HANDLERS = """
from jobqueue import handler

@handler
def double(n: int) -> int:
    return n * {factor}
"""


def test_a_cell_becomes_a_file_of_handlers(
    shell: InteractiveShell, queue: Queue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "from_a_cell.py"
    shell.run_cell_magic("handlers", str(path), HANDLERS.format(factor=2))
    assert capsys.readouterr().out == f"{path} runs double\n"
    shell.run_line_magic("worker", f"start {path}")
    assert queue.enqueue(shell.user_ns["double"], n=4).result("30s") == 8
    shell.run_cell_magic("handlers", str(path), HANDLERS.format(factor=3))
    assert shell.user_ns["double"](4) == 12


def test_a_cell_takes_nobodys_file_away(shell: InteractiveShell, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("MINE = 1\n")
    with pytest.raises(UsageError, match="no cell has written it"):
        shell.run_cell_magic("handlers", str(path), HANDLERS.format(factor=2))
    with pytest.raises(UsageError, match="must end in"):
        shell.run_cell_magic("handlers", "handlers.txt", "x = 1")
    with pytest.raises(SyntaxError):
        shell.run_cell_magic("handlers", f"{path} --overwrite", "def f(:")
    assert path.read_text() == "MINE = 1\n"
    with pytest.raises(UsageError, match="no handlers in it"):
        shell.run_cell_magic("handlers", str(tmp_path / "none.py"), "x = 1")
    assert [file.name for file in sorted(tmp_path.glob("*.py"))] == ["mine.py", "none.py"]
    assert not list(tmp_path.glob(".*"))
