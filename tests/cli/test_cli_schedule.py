"""`schedule`, `schedules` and `retention`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_a_schedule_from_adding_to_removing(shell: Any, queue: Any) -> None:
    command = ["schedule", "add", "report", "--set", "kind=daily", "--cron", "0 6 * * mon-fri", "--timezone", "Europe/Berlin"]
    said = shell(*command, "--priority", "high", "--tag", "a")
    assert said.stdout.startswith("created report: report at 06:00 on Monday through Friday (Europe/Berlin), next in ")
    assert "start one: jobqueue worker" in said.stderr
    assert shell.json(*command, "--priority", "high", "--tag", "a")["outcome"] == "unchanged"

    (listed,) = shell.json("schedule", "list")["schedules"]
    assert (listed["payload"], listed["options"]) == ({"kind": "daily"}, {"priority": 5, "tags": ["a"]})
    assert listed["next_run"].endswith("Z")
    assert "Europe/Berlin" in shell("schedules").stdout

    assert shell.json("schedule", "pause", "report", "--reason", "no data")["paused"]["reason"] == "no data"
    assert "paused by " in shell("schedules").stdout
    assert ", next in " in shell("schedule", "resume", "report").stdout
    outcome, id = shell("schedule", "run", "report").stdout.split()
    assert (outcome, queue.get(id).record.tags) == ("created", ("a", "schedule:report"))

    assert shell("schedule", "remove", "report").stdout == "removed report\n"
    assert shell("schedules").stdout == "no schedules\n"
    assert shell.error("schedule", "run", "report") == "no schedule 'report' in this queue; there are none"


def test_what_cannot_be_a_schedule(shell: Any) -> None:
    assert shell.error("schedule", "add", "report", "--cron", "61 * * * *").startswith(
        "cron: '61 * * * *' cannot be read (bad minute)"
    )
    assert shell.error("schedule", "add", "report").startswith("cron: missing; say when")
    assert "No such command" in shell.usage("schedule", "ad")


def test_retention_does_what_the_settings_say(shell: Any, queue: Any, crew: Any, tmp_path: Path) -> None:
    for _ in range(3):
        shell.add("scan")
        crew.done()
    assert "there is no rule" in shell("retention").stdout

    (tmp_path / "jobqueue.yaml").write_text("retention:\n  done: {count: 1}\n")
    said = shell("retention", "--dry-run").stdout.splitlines()
    assert said == ["done jobs are kept the newest 1", "2 jobs would be purged"]
    told = shell.json("retention")

    assert (told["count"], told["retention"]["done"]["count"]) == (2, 1)
    assert queue.stats().done == 1
