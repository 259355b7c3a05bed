"""`limit`, `budget` and `limits`, and what `enqueue` says of conflicts."""

from __future__ import annotations

from typing import Any

from jobqueue.queue.queue import Queue


def test_limit_says_what_holds_and_limits_lists_it(shell: Any) -> None:
    assert shell("limits").stdout == "no limits\n"
    assert shell("limit", "fetch", "--rate", "30/m").stdout == "fetch: 30/m\n"
    assert shell("limit", "fetch", "--concurrency", "2").stdout == "fetch: 30/m, 2 at a time\n"
    assert shell("limit", "--rate", "5/s").stdout == "the whole queue: 5/s\n"
    assert shell("limits").stdout == "the whole queue: 5/s\nfetch: 30/m, 2 at a time\n"
    assert shell.json("limits")["limits"] == [
        {"type": None, "rate": "5/s", "per_minute": 300.0, "concurrency": None},
        {"type": "fetch", "rate": "30/m", "per_minute": 30.0, "concurrency": 2},
    ]
    assert "at most 300 jobs start in a minute" in shell("stats").stdout
    assert shell("limit", "fetch", "--clear").stdout == "fetch: no limit\n"
    assert [one["type"] for one in shell.json("limit", "--clear")["limits"]] == []


def test_a_wrong_limit_is_one_line(shell: Any) -> None:
    assert shell.error("limit", "fetch", "--rate", "often") == (
        'rate: \'often\' is not a rate; write "30/m", "5 per second" or "100/10m"'
    )
    shell("limit", "fetch", code=2)
    shell("limit", "fetch", "--clear", "--rate", "30/m", code=2)


def test_a_budget_is_set_shown_and_taken_back(shell: Any, queue: Queue) -> None:
    said = shell("budget", "extract", "tokens=1_000_000", "--per", "month").stdout
    assert said.startswith("extract: 0 of 1,000,000 tokens per month used, 1,000,000 left until ")
    assert shell("limits").stdout == said
    [told] = shell.json("limits")["budgets"]
    assert (told["type"], told["metric"], told["amount"], told["per"], told["spent"]) == ("extract", "tokens", 1e6, "month", 0)
    assert "extract: 0 of 1,000,000 tokens per month used" in shell("doctor").stdout
    assert shell("budget", "extract", "tokens=none").stdout == "extract: no budget\n"
    assert queue.budgets() == {}
    shell("budget", "extract", "tokens", code=2)
    shell("budget", "extract", "per=1", code=2)


def test_enqueue_says_what_became_of_a_conflict(shell: Any, queue: Queue) -> None:
    key = ("--concurrency-key", "repo:x")
    first = shell("enqueue", "scan", *key).stdout.split()[1]

    assert (
        shell("enqueue", "scan", *key, "--on-conflict", "reject").stdout == f"rejected: Another process is running: {first}\n"
    )
    assert shell.json("enqueue", "scan", *key, "--on-conflict", "reject")["outcome"] == "rejected"
    assert shell("enqueue", "scan", *key, "--on-conflict", "supersede").stdout.endswith(", superseded 1 job\n")
    assert queue.get(first).status.value == "failed"
    assert "on_conflict: given without concurrency_key" in shell.error("enqueue", "scan", "--on-conflict", "reject")


def test_a_file_of_jobs_says_how_many_were_rejected(shell: Any) -> None:
    lines = '{"type": "scan", "concurrency_key": "x", "on_conflict": "reject"}\n' * 3

    assert shell("enqueue", "--file", "-", input=lines).stdout == "created 1 job, 2 rejected\n"


def test_a_pause_may_end_by_itself(shell: Any) -> None:
    assert " until " in shell("pause", "--type", "scan", "--until", "1h").stdout
    assert shell.json("pause", "--until", "90m")["paused"]["until"].endswith("Z")
