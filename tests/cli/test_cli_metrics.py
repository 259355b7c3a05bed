"""`metrics`, `errors`, `export`: what is drawn, what is JSON, what is refused."""

from __future__ import annotations

import csv
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from prometheus_client.parser import text_string_to_metric_families

from jobqueue import analytics
from jobqueue.analytics.metrics import COLUMNS
from jobqueue.cli import measuring, program
from jobqueue.cli.measuring import ERRORS_EPILOG, GROUP, METRICS_EPILOG, fitting, lengths
from jobqueue.cli.opening import notes
from jobqueue.queue.queue import Queue


@pytest.fixture
def history(shell: Any, crew: Any) -> list[str]:
    """Three done, and two that failed in the same way."""
    for number in range(5):
        shell.add("scan" if number < 4 else "mail", "--project", f"p{number % 2}")
    return [crew.done(), crew.done(), crew.done(), *(crew.fail(f"row {n} of 'x{n}'", type="ValueError") for n in (3, 4))]


def keys(epilog: str) -> list[str]:
    """The keys that a help text promises, in its order."""
    return re.findall(r"[A-Za-z_]+", epilog[epilog.index("{", epilog.index("--json:")) :])


def test_metrics_as_json_are_exactly_the_summary(shell: Any, history: list[str], queue: Queue) -> None:
    found = shell.json("metrics")
    assert list(found) == keys(METRICS_EPILOG)[:6]
    assert list(found["hourlyBreakdown"][0]) == keys(METRICS_EPILOG)[6:11]
    assert found == json.loads(json.dumps(analytics.metrics(queue).summary))
    assert found["successRate"] == 0.6
    assert len(found["hourlyBreakdown"]) == 24
    assert sum(hour["completed"] for hour in found["hourlyBreakdown"]) == 3
    assert len(shell.json("metrics", "--range", "7d", "--every", "1d")["hourlyBreakdown"]) >= 145
    groups = shell.json("metrics", "--by", "type", "--range", "all")
    assert {name: group["successRate"] for name, group in groups["groups"].items()} == {"scan": 0.75, "mail": 0.0}
    assert list(groups["groups"]["scan"]) == keys(METRICS_EPILOG)[:5]
    assert shell.json("metrics", "--project", "p0", "--type", "scan")["successRate"] == 1.0


def test_metrics_in_the_terminal(shell: Any, history: list[str]) -> None:
    said = shell("metrics").stdout
    assert "5 jobs ended" in said
    assert "success     60.0 % (3 completed, 2 failed)" in said
    *_, last, legend = said.splitlines()
    good, bad = last.count("█"), last.count("░")
    assert (good + bad, bad) == (60, 24)
    assert last.endswith("  3 done, 2 failed")
    assert legend == "  █ completed  ░ failed"
    assert sum(":00" in line for line in said.splitlines()[6:]) == 24
    assert "\x1b" not in said
    assert all(line == line.rstrip() for line in said.splitlines())
    table = shell("metrics", "--by", "type", "--range", "7d").stdout
    assert [line.split()[:4] for line in table.splitlines() if line.startswith(("mail", "scan"))] == [
        ["mail", "0", "1", "0.0"],
        ["scan", "3", "1", "75.0"],
    ]


def test_an_empty_history(shell: Any) -> None:
    assert shell("metrics", "--range", "all").stdout == "all: no attempt has ended\n"
    assert shell("errors").stdout == "no failures\n"
    assert shell.json("errors") == {"count": 0, "groups": []}
    found = shell.json("metrics", "--range", "30d")
    assert len(found.pop("hourlyBreakdown")) == 720
    assert set(found.values()) == {None}
    assert "success     - (0 completed, 0 failed)" in shell("metrics").stdout


def test_what_cannot_be_meant(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean '24h'" in shell.error("metrics", "--range", "24hours")
    assert "did you mean 'type'" in shell.error("metrics", "--by", "typ")
    assert "has no time zone; write" in shell.error("metrics", "--since", "2026-01-01T00:00:00")
    assert "did you mean 'Europe/Berlin'" in shell.error("metrics", "--timezone", "Europe/Berln")
    assert "give it alone" in shell.usage("metrics", "--prometheus", "--by", "type")
    assert "there are 0 groups" in shell.usage("errors", "--group", "1")


def test_a_bar_shows_all_there_is() -> None:
    for done in (0, 1, 2, 50, 999):
        for failed in (0, 1, 2, 50, 999):
            for width in (2, 7, 60):
                good, bad = lengths(done, failed, 2000, width)
                assert good + bad <= width
                assert (good > 0, bad > 0) == (done > 0, failed > 0)
    assert lengths(0, 0, 0, 60) == (0, 0)
    assert lengths(30, 30, 60, 60) == (30, 30)


def test_a_chart_has_as_many_bars_as_fit_a_screen() -> None:
    assert all(days / (fitting(days).total_seconds() / 86400) <= 160 for days in (0, 1, 2, 3, 14, 15, 90, 93, 1000, 1101, 4000))


def test_a_narrow_terminal_and_one_without_blocks(shell: Any, history: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "signs", lambda: ("#", "-"))
    monkeypatch.setattr(measuring, "room", lambda: 40)
    bars = [line for line in shell("metrics").stdout.splitlines() if "#" in line and "done" in line]
    assert bars
    assert all(len(line) <= 40 for line in bars)


def test_signs_that_the_terminal_can_show(tmp_path: Path, shell: Any, history: list[str]) -> None:
    command = [sys.executable, "-m", "jobqueue", "-q", str(shell.folder), "metrics"]
    for coding, sign in (("utf-8", "█"), ("ascii", "#")):
        environ = {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": coding, "PYTHONUTF8": "0"}
        ran = subprocess.run(command, env=environ, capture_output=True, timeout=100)
        assert ran.returncode == 0, ran.stderr
        assert f"{sign} completed" in ran.stdout.decode(coding)


def test_prometheus(shell: Any, history: list[str]) -> None:
    families = {family.name: family for family in text_string_to_metric_families(shell("metrics", "--prometheus").stdout)}
    assert {sample.labels["status"]: sample.value for sample in families["jobqueue_jobs"].samples} == {
        "pending": 0,
        "claimed": 0,
        "done": 3,
        "failed": 2,
    }
    assert sum(sample.value for sample in families["jobqueue_attempts"].samples) == 5


def test_errors(shell: Any, crew: Any, history: list[str]) -> None:
    shell.add("scan")
    crew.fail("no luck")
    found = shell.json("errors", "--since", "24h")
    assert found["count"] == 2
    first = found["groups"][0]
    assert tuple(first) == GROUP
    assert set(keys(ERRORS_EPILOG)) >= set(GROUP)
    assert (first["message"], first["count"], first["types"]) == ("row <n> of '…'", 2, ["mail", "scan"])
    assert sorted(first["jobs"]) == sorted(history[3:])
    said = shell("errors", "--limit", "1").stdout.splitlines()
    assert said[1].split()[:2] == ["1", "2"]
    assert said[-1] == "3 failures in 2 groups; the first 1 are shown"
    group = shell("errors", "--group", "1").stdout
    assert "ValueError: row <n> of '…'" in group
    again = group.splitlines()[-1].partition("run again: jobqueue ")[2].split()
    shell(*again)
    assert shell.json("list", "--status", "pending")["total"] == 2
    assert "failed now" not in shell("errors", "--group", "1").stdout


@pytest.mark.parametrize("what", ["attempts", "items", "events", "jobs"])
def test_export(shell: Any, history: list[str], what: str, tmp_path: Path) -> None:
    count = {"attempts": 5, "items": 0, "events": 5, "jobs": 5}[what]
    assert shell("export", what, "a.csv").stdout == f"{count} rows in a.csv\n"
    with open("a.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == count
    assert "overwrite" in shell.error("export", what, "a.csv")
    shell("export", what, "a.csv", "--overwrite", "--since", "1h")
    some = {"attempts": 4, "items": 0, "events": 4, "jobs": 4}[what]
    assert shell("export", what, "a.parquet", "--type", "scan").stdout.startswith(f"{some} rows")


def test_export_filters(shell: Any, history: list[str]) -> None:
    assert shell("export", "jobs", "f.csv", "--status", "failed", "--text", "row 3").stdout.startswith("1 row")
    assert "--key is a filter of jobs; attempts have --batch, --project" in shell.usage(
        "export", "attempts", "a.csv", "--key", "k"
    )
    assert "use .parquet, .csv or .csv.gz" in shell.error("export", "jobs", "f.txt")


@pytest.mark.parametrize("words", [["metrics"], ["errors"], ["export", "jobs", "a.csv"]])
def test_without_the_extra_the_fix_is_named(tmp_path: Path, words: list[str]) -> None:
    code = f"""
import sys
sys.modules["pandas"] = None
sys.argv = ["jobqueue", "-q", {str(tmp_path / "q")!r}, *{words!r}]
from jobqueue.cli import main
main()"""
    subprocess.run([sys.executable, "-m", "jobqueue", "-q", str(tmp_path / "q"), "init"], check=True, capture_output=True)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "error: this command needs pandas; run: pip install 'jobqueue[analytics]'\n"


def test_the_tab_key_offers_ranges_and_groups(shell: Any, history: list[str]) -> None:
    completer = ShellComplete(program, {}, "jobqueue", "_JOBQUEUE_COMPLETE")

    def offered(*words: str) -> list[str]:
        return [item.value for item in completer.get_completions(["-q", str(shell.folder), *words[:-1]], words[-1])]

    assert offered("metrics", "--range", "") == ["24h", "7d", "30d", "all"]
    assert offered("metrics", "--by", "pro") == ["project"]
    assert offered("errors", "--type", "") == ["scan", "mail"]
    assert offered("export", "") == ["attempts", "items", "events", "jobs"]
    assert set(measuring.GROUPS) <= COLUMNS
    assert notes not in logging.getLogger("jobqueue").handlers, "what a completion opened is not closed"


def test_the_command_line_is_loaded_without_pandas() -> None:
    code = "import jobqueue.cli, sys; print([name for name in ('pandas', 'numpy', 'pyarrow', 'rich') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
