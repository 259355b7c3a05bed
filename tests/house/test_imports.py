"""What an import costs: nothing big is loaded before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BIG = {"pandas", "ipywidgets", "watchdog", "yaml", "rich", "IPython", "numpy"}
NOTEBOOK = {"pandas", "ipywidgets", "IPython", "anywidget"}
"""What a worker must never carry: some 70 MB and a second each."""
HANDLERS = """
import atexit, json, sys
from jobqueue import handler

@handler
def note() -> None:
    atexit.register(lambda: print(json.dumps(sorted(sys.modules))))
"""


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after this code."""
    command = [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"]
    return tops(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tops(names: str) -> set[str]:
    return {name.partition(".")[0] for name in json.loads(names)}


@pytest.mark.parametrize(
    "code", ["import jobqueue", "from jobqueue import Queue, enqueue, handler", "import jobqueue.worker.worker"]
)
def test_an_import_loads_nothing_big(code: str) -> None:
    assert loaded_by(code) & BIG == set()


def test_the_front_door_opens_without_what_lies_behind_it() -> None:
    behind = loaded_by("import jobqueue") - loaded_by("import importlib, typing, __future__")
    assert behind == {"jobqueue"}


def test_enqueueing_loads_nothing_big(tmp_path: Path) -> None:
    code = f"""
import warnings
warnings.simplefilter("ignore")
from jobqueue import Queue
Queue({str(tmp_path / "queue")!r}).enqueue("note")"""
    assert loaded_by(code) & BIG == set()


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_a_worker_process_never_loads_what_notebooks_need(tmp_path: Path, executor: str) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "queue" / "pending").mkdir(parents=True, mode=0o700)
    (tmp_path / "queue").chmod(0o700)
    (tmp_path / "queue" / "pending" / "note.json").write_text('{"type": "note"}')
    options = ["--queue", "queue", "--handlers", "handlers.py", "--executor", executor, "--once"]
    command = [sys.executable, "-m", "jobqueue.worker", *options]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "jobqueue" in tops(ran.stdout)
    assert tops(ran.stdout) & NOTEBOOK == set()
