"""What whole processes cost: a worker's CPU time for each job, and the time to import this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from steps import HANDLERS, open_queue, payload

UNWANTED = ("pandas", "ipywidgets", "watchdog", "yaml", "rich")
IMPORTS = {
    "import jobqueue": "import jobqueue",
    "import Queue": "from jobqueue import Queue, enqueue, handler",
    "import worker": "import jobqueue.worker.__main__, jobqueue.worker.worker",
}
TIME_IMPORT = """
import json, sys, time
before = set(sys.modules)
started = time.perf_counter()
{code}
took = time.perf_counter() - started
print(json.dumps([took, sorted(set(sys.modules) - before)]))
"""


def run(command: Sequence[str], cwd: Path) -> float:
    """Runs a command to its end; its CPU time in microseconds, user and system."""
    process = subprocess.Popen(command, cwd=cwd)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command}: exit code {process.returncode}"
    return (usage.ru_utime + usage.ru_stime) * 1e6


def worker_cpu(path: Path, size: int, durability: str) -> float:
    """CPU microseconds for each no-op job in a real worker process: those of a drain, less those on an empty queue."""
    path.mkdir(parents=True)
    settings = {"queue_dir": "queue", "durability": durability, "handlers": [HANDLERS]}
    (path / "jobqueue.yaml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "jobqueue.worker", "--executor", "inline", "--drain", "--log-level", "warning"]
    queue = open_queue(path / "queue", "relaxed")
    empty = min(run(command, path) for _ in range(2))
    queue.enqueue_many("noop", [payload(number) for number in range(size)])
    full = run(command, path)
    done = len(os.listdir(path / "queue" / "done"))
    assert done == size, f"{done} of {size} jobs are done"
    queue.close()
    return (full - empty) / size


def time_import(code: str, cache: Path) -> tuple[float, list[str]]:
    """Microseconds that an import takes in a fresh process, and the modules that it loads.

    The compiled modules are kept in `cache`, whatever this machine is set to: the second call has them all.
    """
    environ = os.environ | {"PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", TIME_IMPORT.format(code=code)]
    took, modules = json.loads(subprocess.run(command, check=True, capture_output=True, env=environ).stdout)
    return took * 1e6, modules


def stdlib_imports(modules: Sequence[str]) -> str:
    """The statement that imports those of these modules that belong to the standard library."""
    names = [name for name in modules if name.partition(".")[0] in sys.stdlib_module_names and "__" not in name]
    return f"import {', '.join(names)}" if names else "pass"
