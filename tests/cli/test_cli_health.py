"""`health`, `stop`, and what `workers` says of running jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from jobqueue.model.progress import Progress


def test_health_has_an_exit_code(shell: Any, crew: Any) -> None:
    assert shell("health").stdout == "healthy\n"
    said = shell.json("health")
    assert list(said) == ["status", "stats", "timestamp", "reasons", "workers", "stalled"]
    assert said["stats"] == {"waiting": 0, "active": 0, "completed": 0, "failed": 0}
    shell("pause", "--reason", "disk\nfull")
    status, reason = shell("health", code=1).stdout.splitlines()
    assert status == "degraded"
    assert "disk full" in reason
    assert shell.json("health", code=1)["status"] == "degraded"


def test_due_jobs_without_a_worker_are_unhealthy(shell: Any) -> None:
    shell.add("scan")
    assert shell.json("health", code=1)["status"] == "unhealthy"


def test_workers_say_what_they_run(shell: Any, crew: Any) -> None:
    id = shell.add("scan")
    crew.claim()
    crew.queue.store.notes.set_progress(id, Progress(percent=40, attempt=1))
    assert f"{id} (scan, 40 %)" in shell("workers").stdout
    (worker,) = shell.json("workers")["workers"]
    assert (worker["name"], worker["slots"]) == (crew.owner, 1)
    assert [(job["id"], job["type"], job["progress"]["percent"]) for job in worker["running"]] == [(id, "scan", 40)]


def test_stop_ends_workers(shell: Any, queue: Any, tmp_path: Path) -> None:
    (tmp_path / "handlers_to_stop.py").write_text("from jobqueue import handler\n\n@handler\ndef scan():\n    return 1\n")
    for _ in range(2):
        queue.ensure_worker("handlers_to_stop.py", wait="60s")
        first, *others = [worker.name for worker in queue.workers()]
        assert others == []
        assert shell("stop", first, "--wait", "30s").stdout == f"asked to stop: {first}\n"
        assert queue.workers() == []
    started = shell.json("start", "--handlers", "handlers_to_stop.py", "--wait", "60s")
    assert started["started"] is True
    assert shell("start", "--handlers", "handlers_to_stop.py").stdout == f"already there: {started['name']}\n"
    assert shell.json("stop", "--all", "--now", "--wait", "30s")["count"] == 1
    assert queue.workers() == []
    assert shell.json("stop", "--all") == {"count": 0, "stopped": []}


def test_a_job_is_taken_elsewhere(shell: Any, crew: Any, tmp_path: Path) -> None:
    id = shell.add("scan")
    crew.done("fine")
    assert shell("bundle", id).stdout == f"written: {id}.zip\n"
    assert shell.error("bundle", id) == f"{id}.zip: File exists"
    assert shell.json("notebook", id, "x.ipynb") == {"path": "x.ipynb"}
    assert (tmp_path / "x.ipynb").exists()
    copy = shell.json("import-bundle", f"{id}.zip")
    assert (copy["status"], copy["id"] != id) == ("done", True)
    assert "not a bundle" in shell.error("import-bundle", "x.ipynb")


def test_stop_wants_to_know_whom(shell: Any, crew: Any) -> None:
    assert "name workers (see: jobqueue workers), or give --all" in shell.usage("stop")
    assert "or give --all" in shell.usage("stop", "x", "--all")
    assert shell.error("stop", "nobody") == f"no live worker is called 'nobody'; there are: {crew.owner}"
    assert "runs on the host here; stop it there: kill" in shell.error("stop", crew.owner)


def test_a_probe_needs_only_the_exit_code(shell: Any) -> None:
    command = [sys.executable, "-m", "jobqueue", "--queue", str(shell.folder), "health", "--json"]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, env={**os.environ}).returncode == 0
