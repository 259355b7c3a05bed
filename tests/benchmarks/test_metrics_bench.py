"""The benchmark of the metrics runs and reports; how fast anything is stands in its output, never in an assertion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_every_step_is_reported_beside_pandas() -> None:
    command = [sys.executable, str(Path(__file__).with_name("metrics.py")), "--attempts", "300"]
    ran = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["attempts"] == 300
    assert len(found["rows"]) == 6
    assert all(row["ratio"] > 0 for row in found["rows"])
    assert "by type below 1 s" in subprocess.run(command, capture_output=True, text=True, timeout=100).stdout
