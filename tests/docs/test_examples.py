"""Each example is run by itself, as a newcomer runs it, and says what it is there to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
OF_THE_DEMO = {"demo", "demo_work", "demo_screen", "demo_report", "analyse"}  # tests/acceptance/test_demo.py

SAID = {
    "quickstart": ["enqueued: pending", "result: 5", "afterwards: done", "the queue: 0 pending, 0 claimed, 1 done, 0 failed"],
    "retries": [
        "flaky: worked at attempt 3",
        "  attempt 2 failed: attempt 2 found nobody there",
        "rate_limited: let in",
        "  attempt 1 failed: too many requests",
        "parse: failed after 1 attempt: 'seven' is not a number",
    ],
    "delay_and_priority": [
        "6 pending, 0 claimed, 0 done, 0 failed (2 delayed)",
        "position of the urgent one: 1",
        "  urgent (0)",
        "  normal (10), the oldest",
        "  normal (10), the second",
        "  low (20)",
        "  urgent, but half a second later",
        "Not started: due in 6 h.",
    ],
    "idempotency": [
        "first: created; again: exists, the same job: True",
        "result: orders.csv",
        "late: exists, done",
        "forced: created",
        "nightly: created, then created",
    ],
    "limits": [
        "30 pages at 20/s took a second or more: True",
        "second: rejected; that is the first: True",
        "third: created, superseded 1; the first: failed",
        "extract: its 1000 tokens are spent: True; the last text: pending",
        "Not started: the type 'extract' is paused by budget",
    ],
    "parent_child": ["good: report: two pages", "skipped: failed, skipped", "anyhow: report: what there was"],
    "crash_timeout_cancel": [
        "0 jobs cancelled, 1 running asked to stop",
        "cancelling: True",
        "ignore: failed, cancelled while it ran",
        "crash: failed, the process of this attempt was killed by SIGSEGV",
        "sleep: failed, ran longer than 0.5 s",
        "neighbour: done, unhurt",
        "crash: 2 attempts",
    ],
    "progress_and_resume": [
        "done: {'attempt': 2}",
        "first attempt: crashed",
        "  row-2 by attempt 1, 4 tokens",
        "  row-3 by attempt 2, 6 tokens",
        "progress: 100 % (6 of 6)",
        "artifacts: ['report.txt']",
    ],
    "schedules": [
        "created: <Schedule nightly: report at 06:00 on Monday through Friday (Europe/Berlin), next in 2.67 d>",
        "the daily report, due Monday 06:00, again Tuesday 06:00",
        "tags: [('schedule:nightly', 'late')]",
        "paused: 0 jobs; by hand: pending",
        "removed: []",
    ],
    "testing_your_jobs": ["both tests pass"],
    "waiting": [
        "before: 0 % of 3 jobs (3 pending)",
        "finished: 0.3 done",
        "awaited: ['0.02 s', '0.01 s']",
        "after: 100 % of 3 jobs (2 done, 1 failed)",
        "results: ['0.3 s', '0.01 s']",
        "and: time does not run backwards",
    ],
    "batch_from_a_frame": [
        "3 jobs in the batch 'cargo'",
        "100 % of 3 jobs (2 done, 1 failed)",
        "kilos: {'a': 1500.0, 'c': 3000.0}",
        "failed: {'b': 'no weight'}",
        "again: {'a': 1500.0, 'b': 2000.0, 'c': 3000.0}",
        "seen: 1 new, 2 already processed, 0 needs re-run",
        "3 jobs would be purged",
        "3 jobs restored",
        "1 job in the batch 'cargo', 3 unfinished jobs of an earlier run cancelled",
    ],
    "debug_a_failure": [
        "drained: <Drained: 0 done, 1 failed, 0 left",
        "failed: division by zero",
        "here too: average",
        "mended: 0.0",
        "the job itself: failed",
        "notebook: average.ipynb with the traceback: True",
        "elsewhere: 1 attempt: error: division by zero",
    ],
    "drop_a_file": [
        "mine: done",
        "theirs: done",
        "broken: failed",
        "theirs: 5 attempts, project p1",
        "in failed/: ['broken.json', 'broken.reason']",
    ],
}


@pytest.mark.parametrize("name", SAID)
def test_an_example_says_what_it_shows(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = iter(done.stdout.splitlines())
    for said in SAID[name]:
        assert said in lines, f"{said!r} is missing, or not in its place, in:\n{done.stdout}"
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_every_example_is_tested_and_short() -> None:
    scripts = {path.stem: path for path in EXAMPLES.glob("*.py") if path.stem not in OF_THE_DEMO}
    assert set(scripts) == set(SAID)
    for path in scripts.values():
        assert len(path.read_text().splitlines()) <= 50, path.name
