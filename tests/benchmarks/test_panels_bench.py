"""The benchmark of the panels runs, and puts each figure beside its limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_step_is_reported_beside_the_limit() -> None:
    script = Path(__file__).parent / "panels.py"
    ran = subprocess.run([sys.executable, str(script), "24000", "3000"], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    for words in (
        "the limit",
        "a refresh after 500 changes",
        "a refresh after none",
        "sent by a refresh",
        "first look",
        "open a dashboard",
    ):
        assert words in ran.stdout
