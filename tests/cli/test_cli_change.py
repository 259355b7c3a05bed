"""`retry`, `cancel`, `delete`, `purge`, `restore`: by ids, by filters, rehearsed, asked about, refused."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from jobqueue import Queue


@pytest.fixture
def failed(shell: Any, crew: Any) -> list[str]:
    """Three failed jobs of type a."""
    return [(shell.add("a"), crew.fail())[1] for _ in range(3)]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits there and can be asked."""
    monkeypatch.setattr("jobqueue.cli.changing.somebody_is_there", lambda: True)


def statuses(shell: Any) -> dict[str, str]:
    return {job["id"]: job["status"] for job in shell.json("list")["jobs"]}


def test_retry_by_id(shell: Any, failed: list[str]) -> None:
    assert shell("retry", *failed[:2]).stdout == f"retried {failed[0]}\nretried {failed[1]}\n"
    assert statuses(shell) == {failed[0]: "pending", failed[1]: "pending", failed[2]: "failed"}
    assert len(shell.json("show", failed[0])["history"]) == 1


def test_retry_later(shell: Any, failed: list[str]) -> None:
    shell("retry", failed[0], "--delay", "1h")
    assert shell.json("stats")["delayed"] == 1
    assert shell.error("retry", failed[1], "--delay", "soon").startswith("delay: cannot read")


def test_retry_leaves_out_what_was_cancelled(shell: Any, failed: list[str]) -> None:
    cancelled = shell.add("a")
    shell("cancel", cancelled)
    assert shell.json("retry", "--type", "a", "--dry-run")["changed"] == failed
    assert shell.json("retry", "--type", "a", "--include", "cancelled", "--dry-run")["count"] == 4
    assert shell.json("retry", cancelled)["changed"] == [cancelled]


def test_retry_of_done_jobs_must_be_said(shell: Any, crew: Any) -> None:
    id = shell.add("a")
    crew.done()
    assert shell("retry", "--type", "a", "--yes").stdout == "no job matches\n"
    assert shell.json("retry", "--type", "a", "--status", "completed", "--yes")["changed"] == [id]


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete", "restore"])
def test_without_ids_and_filter_it_is_wrong_usage(shell: Any, verb: str) -> None:
    assert f"say which jobs: ids, or a filter such as `{verb} --type scan`" in shell.usage(verb)
    assert "say which jobs" in shell.usage(verb, "--yes")


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete", "purge", "restore"])
def test_ids_and_filter_are_wrong_usage(shell: Any, verb: str) -> None:
    assert "give ids or filters, not both" in shell.usage(verb, "x", "--type", "a")


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete", "purge", "restore"])
def test_an_unknown_id(shell: Any, verb: str) -> None:
    assert "no job 'nobody' in th" in shell.error(verb, "nobody")
    said = shell.json(verb, "nobody", code=1)
    assert (said["verb"], said["count"], said["changed"], list(said["refused"])) == (verb, 0, [], ["nobody"])
    assert "nobody" in shell.error(verb, "nobody", "--dry-run")


def test_some_done_some_refused(shell: Any, failed: list[str]) -> None:
    waiting = shell.add("a")
    result = shell("retry", waiting, failed[0], failed[0], code=1)
    assert result.stdout == f"retried {failed[0]}\n"
    assert result.stderr == f"error: {waiting} is pending and cannot be retried\n"


def test_many_refusals_are_cut_short(shell: Any) -> None:
    lines = shell("retry", *(f"x{number}" for number in range(15)), code=1).stderr.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "error: and 5 more were refused"


def test_a_filter_needs_yes_where_nobody_can_be_asked(shell: Any, failed: list[str]) -> None:
    said = shell.error("retry", "--type", "a")
    assert said == "retry: this filter chooses 3 jobs; nobody can be asked here, so add --yes or --dry-run"
    assert set(statuses(shell).values()) == {"failed"}
    assert shell.json("retry", "--type", "a", "--yes")["changed"] == failed


@pytest.mark.usefixtures("terminal")
def test_somebody_is_asked(shell: Any, failed: list[str]) -> None:
    no = shell("retry", "--type", "a", input="n\n", code=1)
    assert no.stderr.endswith("error: nothing was changed\n")
    assert set(statuses(shell).values()) == {"failed"}
    yes = shell("retry", "--type", "a", input="y\n")
    assert "retry 3 jobs? [y/N]" in yes.stderr
    assert yes.stdout.count("retried ") == 3


@pytest.mark.usefixtures("terminal")
def test_ctrl_d_at_the_question_changes_nothing(shell: Any, failed: list[str]) -> None:
    shell("retry", "--type", "a", input="", code=130)
    assert set(statuses(shell).values()) == {"failed"}


def test_cancel(shell: Any, crew: Any) -> None:
    running = shell.add("a")
    crew.claim()
    waiting = shell.add("a")
    assert shell.json("cancel", "--type", "a", "--dry-run")["count"] == 2
    said = shell.json("cancel", "--type", "a", "--yes")
    assert (said["changed"], said["cancelling"], said["count"]) == ([waiting], [running], 2)
    said = shell("cancel", running).stdout
    assert said == f"asked to stop {running}: it runs inside its worker; it stops when its handler looks at ctx.cancelled\n"
    assert shell.error("cancel", waiting) == f"{waiting} is failed and cannot be cancelled"


def test_many_running_ones(shell: Any, crew: Any) -> None:
    for _ in range(12):
        shell("enqueue", "a")
        crew.claim()
    lines = shell("cancel", "--type", "a", "--yes").stdout.splitlines()
    assert lines[0].startswith("asked to stop")
    assert lines[-1] == "and 2 more running jobs asked to stop"


def test_purge_without_anything_means_all_done_jobs(shell: Any, crew: Any, failed: list[str]) -> None:
    shell("enqueue", "b")
    done = crew.done()
    assert shell("purge", "--dry-run").stdout == f"would be purged {done}\n"
    assert shell.error("purge").startswith("purge: this filter chooses 1 job;")
    assert shell("purge", "--yes").stdout == f"purged {done}\n"
    assert sorted(statuses(shell)) == sorted(failed)
    assert shell("purge", "--yes").stdout == "no job matches\n"


def test_purge_by_filter_and_by_id(shell: Any, crew: Any, failed: list[str]) -> None:
    assert shell.json("purge", "--type", "a", "--yes")["count"] == 0
    assert shell.json("purge", "--status", "failed", "--older-than", "1h", "--yes")["count"] == 0
    assert shell.json("purge", failed[0])["changed"] == failed[:1]
    assert shell.json("purge", "--status", "done,failed", "--type", "a", "--yes")["changed"] == failed[1:]
    assert "only done and failed jobs can be purged" in shell.error("purge", "--status", "pending", "--yes")


def test_purge_looks_again_at_the_last_moment(shell: Any, failed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(verb: str, count: int) -> None:
        shell("retry", failed[0])

    monkeypatch.setattr("jobqueue.cli.changing.agree", meanwhile)
    said = shell.json("purge", "--status", "failed", "--type", "a")
    assert said["changed"] == failed[1:]
    assert list(said["refused"]) == [failed[0]]


def test_many_jobs_are_counted_not_listed(shell: Any) -> None:
    shell("enqueue", "a", "--file", "-", input="{}\n" * 1500)
    assert shell("cancel", "--type", "a", "--dry-run").stdout == "1,500 jobs would be cancelled\n"
    assert shell("cancel", "--type", "a", "--yes").stdout == "1,500 jobs cancelled\n"


def test_delete(shell: Any, crew: Any, failed: list[str]) -> None:
    waiting = shell.add("b", "--tag", "trial")
    assert shell("delete", failed[0]).stdout == f"deleted {failed[0]}\n"
    assert shell.json("delete", "--tag", "trial", "--dry-run")["changed"] == [waiting]
    assert shell.json("delete", "--status", "pending", "--yes")["changed"] == [waiting]
    running = shell.add("c")
    crew.claim()
    assert "is claimed" in shell.error("delete", running)
    assert shell.json("delete", "--type", "c", "--yes")["count"] == 0
    assert "is claimed" in shell.error("delete", "--status", "claimed", "--yes")


def test_restore(shell: Any, crew: Any, failed: list[str]) -> None:
    waiting = shell.add("b")
    shell("delete", waiting, failed[0], failed[1])
    assert shell.json("restore", waiting, "--dry-run")["changed"] == [waiting]
    assert shell("restore", waiting).stdout == f"restored {waiting}\n"
    assert shell.json("restore", "--type", "a", "--dry-run")["changed"] == failed[:2]
    assert shell.json("restore", "--type", "a", "--yes")["changed"] == failed[:2]
    assert statuses(shell) == {waiting: "pending"} | dict.fromkeys(failed, "failed")
    assert shell("restore", "--type", "a", "--yes").stdout == "no job matches\n"
    assert "have no status" in shell.usage("restore", "--status", "done")


def test_ids_that_name_a_job_twice(shell: Any, failed: list[str]) -> None:
    assert shell.json("delete", failed[0], failed[0])["changed"] == [failed[0]]


def test_redo_makes_jobs_for_rows_of_a_batch(shell: Any) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]}, index=["a", "b", "c"])
    with Queue(shell.folder, durability="relaxed") as queue:
        queue.enqueue_frame(frame, "score", batch="b1")
        queue.enqueue("score", batch="plain")

        made = shell.json("redo", "b1", "--row", "2", "--row", "0", "--column", "grade", "--set", "n=9")
        assert (made["batch"], made["count"], [job["row"] for job in made["jobs"]]) == ("b1", 2, [2, 0])
        job = shell.json("show", made["jobs"][0]["id"])
        assert (job["payload"], job["priority"], job["redo_of"]["columns"]) == ({"n": 9}, 5, ["grade"])
        assert len(shell("redo", "b1", "--all", "--priority", "20").stdout.splitlines()) == 3
        assert "there is no row 7" in shell.error("redo", "b1", "--row", "7")
        assert "was not made of a frame" in shell.error("redo", "plain", "--all")
        assert "say which rows" in shell("redo", "b1", code=2).stderr
        assert queue.stats().pending == 9
