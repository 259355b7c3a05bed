"""The benchmark runs and reports every step. How fast anything is stands in its output, never in an assertion."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("bench.py")
STEPS = {
    "enqueue",
    "enqueue_many",
    "claim",
    "finish",
    "finish, groups",
    "drain, inline",
    "drain, process",
    "drain, 2 processes",
    "claim, backlog",
    "first claim (lists), backlog",
    "claim, long / short",
    "CPU of a worker",
    *(f"pickup, {way}, {share}" for way in ("idle", "after a claim", "dropped file") for share in ("p50", "p99")),
    "ctx.progress",
    "drain, among hostile",
    "drain, hostile set aside",
    "idle CPU, hostile",
    "journal, drain inline",
    "journal, drain 2 processes",
    "journal, enqueue",
    "journal, enqueue_many",
    "import jobqueue",
    "import Queue",
    "import worker",
}


def bench(*options: str, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH), "--tiny", "--queue-root", str(root), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_every_step_is_reported_beside_its_limit(tmp_path: Path) -> None:
    ran = bench("--json", root=tmp_path)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert {row["step"] for row in document["rows"]} == STEPS
    for row in document["rows"]:
        assert row["limit_us"] > 0, row
        assert math.isfinite(row["ratio"]), row
        assert (row["holds"] is None) == (row["target"] is None), row
    assert document["file_system"]
    assert list(tmp_path.iterdir()) == []


def test_the_table_says_what_was_measured_and_where(tmp_path: Path) -> None:
    ran = bench("--only", "enqueue", root=tmp_path)
    assert ran.returncode == 0, ran.stderr
    for text in ("enqueue_many", "strict", "2 x limit", "targets hold", "Python 3"):
        assert text in ran.stdout
    assert "claim, backlog" not in ran.stdout


def test_an_unknown_step_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    ran = bench("--only", "nothing", root=tmp_path)
    assert ran.returncode == 2
    assert "pickup" in ran.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="for users who are not root")
def test_without_root_a_journaled_disk_is_refused_with_the_reason(tmp_path: Path) -> None:
    ran = bench("--journaled", root=tmp_path)
    assert ran.returncode == 2
    assert "only root" in ran.stderr


def test_frames_bulks_and_coverage_are_reported_beside_their_limits(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH.with_name("batches.py")), "50", "--queue-root", str(tmp_path), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert {"enqueue_frame", "rehearse", "apply", "undo", "purge", "coverage, 500 attempts"} <= figures.keys()
    assert all(figure["limit"] > 0 and math.isfinite(figure["ratio"]) for figure in figures.values())
    assert list(tmp_path.iterdir()) == []
