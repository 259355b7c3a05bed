"""`make lab`: JupyterLab on the dashboard with a worker running; one Ctrl-C ends both."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from jobqueue import Queue

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not (ROOT / ".venv/bin/jupyter-lab").exists(), reason="JupyterLab is not installed into .venv")
def test_make_lab_runs_until_ctrl_c(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(tmp_path),
        "JUPYTER_RUNTIME_DIR": str(tmp_path),
        "HOME": str(tmp_path),
    }
    command = ["make", "lab", "LAB=--no-browser --ServerApp.port_retries=50", f"QUEUE={tmp_path / 'q'}"]
    log = tmp_path / "log"
    with log.open("w") as output:
        lab = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True, stdin=subprocess.DEVNULL
        )
    try:
        deadline = time.monotonic() + 90
        with Queue(tmp_path / "q") as queue:
            while not ("/lab?token=" in log.read_text() and queue.workers()):
                assert lab.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            os.killpg(lab.pid, signal.SIGINT)
            time.sleep(0.5)
            os.killpg(lab.pid, signal.SIGTERM)  # JupyterLab asks after the first one
            lab.wait(30)
            assert queue.workers() == []
    finally:
        if lab.poll() is None:
            os.killpg(lab.pid, signal.SIGKILL)
