"""`list`, `show`, `why`, `stats`, `workers`, `check`, `doctor`: what is said, in words and as JSON."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from jobqueue.cli import program
from jobqueue.cli.looking import STATS_EPILOG, WORKERS_EPILOG
from jobqueue.cli.opening import notes, open_queue
from jobqueue.cli.options import FILTERS, QUEUE
from jobqueue.cli.showing import SHOW_EPILOG
from jobqueue.store.finding import Finding


def ids(shell: Any, *words: str) -> list[str]:
    return [job["id"] for job in shell.json("list", *words)["jobs"]]


def test_an_empty_queue(shell: Any) -> None:
    assert shell("list").stdout == "no jobs\n"
    assert shell("stats", "--by", "type").stdout == "no jobs\n"
    assert shell.json("list") == {"count": 0, "total": 0, "offset": 0, "jobs": []}
    assert shell("workers").stdout.startswith("no live worker; start one")
    assert "no live worker" in shell("stats").stdout


def test_a_page_of_many(shell: Any) -> None:
    shell("enqueue", "scan", "--file", "-", input='{"n": 1}\n' * 60)
    lines = shell("list").stdout.splitlines()
    assert len(lines) == 52
    assert lines[-1] == "showing 50 of 60"
    assert shell("ls", "--limit", "all").stdout.splitlines()[-1] == "60 jobs"
    page = shell.json("list", "--limit", "7", "--offset", "55")
    assert (page["count"], page["total"], page["offset"], len(page["jobs"])) == (5, 60, 55, 5)
    assert shell("list", "--offset", "99").stdout == "showing 0 of 60\n"


def test_the_order(shell: Any) -> None:
    low, first, urgent, last = (shell.add("a", *words) for words in (["--priority", "low"], [], ["--priority", "urgent"], []))
    assert ids(shell) == [urgent, first, last, low]
    assert ids(shell, "--order", "oldest") == [low, first, urgent, last]
    assert ids(shell, "--order", "newest") == [last, urgent, first, low]


def test_every_filter(shell: Any, crew: Any) -> None:
    a = shell.add("a", "--project", "p", "--batch", "b", "--tag", "t", "--key", "k", "--set", "text=Octo")
    crew.fail("boom", reason="timeout")
    b = shell.add("b", "--delay", "1h")
    for words in (
        *(["--status", "failed"], ["-s", "done,failed"], ["--type", "a"], ["--project", "p"], ["--batch", "b"], ["--tag", "t"]),
        *(["--key", "k"], ["--text", "octo"], ["--text", "BOOM"], ["--reason", "timeout"]),
    ):
        assert ids(shell, *words) == [a], words
    assert ids(shell, "--status", "waiting") == ids(shell, "--status", "queued") == [b]
    assert ids(shell, "--status", "pending", "--status", "failed") == [a, b]
    assert ids(shell, "--type", "a", "--type", "b", "--since", "1h") == [a, b]
    assert ids(shell, "--since", "60") == [a, b]
    assert ids(shell, "--older-than", "1h") == ids(shell, "--until", "2020-01-01T00:00:00Z") == []
    assert set(FILTERS) == {"status"} | set(filter_names())


def filter_names() -> list[str]:
    import inspect

    from jobqueue.model.filter import make_filter

    return [name for name in inspect.signature(make_filter).parameters if name != "now"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "asleep"], "'asleep' is not a status; use one of"),
        (["--limit", "few"], "'few' is not the size of a page"),
        (["--limit", "-1"], "'-1' is not the size of a page"),
        (["--offset", "-1"], "-1 is not in the range"),
        (["--order", "best"], "'best' is not one of"),
        (["--until", "1h", "--older-than", "1h"], "say the same"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_wrong_lists(shell: Any, words: list[str], said: str) -> None:
    assert said in shell.usage("list", *words)


def test_a_time_that_cannot_be_read(shell: Any) -> None:
    assert shell.error("list", "--since", "yesterday").startswith("since: cannot read 'yesterday'")


def test_what_the_status_alone_does_not_say(shell: Any, crew: Any) -> None:
    retrying = shell.add("retrying", "--priority", "1")
    crew.fail("first\nsecond", attempts=3, wait=600)
    claimed = shell.add("claimed", "--priority", "2")
    crew.claim()
    shell("cancel", claimed)
    delayed = shell.add("delayed", "--delay", "2h")
    cancelled = shell.add("x")
    shell("cancel", cancelled)
    (shell.folder / "failed" / "junk.json").write_text("{")
    (shell.folder / "failed" / "junk.reason").write_text("the text ends too early\nmore\n")
    notes = {line.split()[0]: line for line in shell("list").stdout.splitlines()[1:-1]}
    assert "due in" in notes[retrying]
    assert notes[retrying].endswith("; last try: first")
    assert " 1/3 " in notes[retrying]
    assert notes[claimed].endswith(f"on {crew.owner}, asked to stop")
    assert "due in" in notes[delayed]
    assert "cancelled: cancelled by" in notes[cancelled]
    assert notes["junk"].endswith("rejected: the text ends too early")
    stats = shell("stats").stdout
    assert "(2 delayed, 1 retrying)" in stats
    assert "(1 cancelled, 1 rejected)" in stats


def test_strangers_text_cannot_touch_the_terminal(shell: Any, crew: Any) -> None:
    evil = "[red]\x1b[31m\x07\u202e\x9b\r\nx"
    id = shell.add(evil, "--project", evil, "--name", evil, "--tag", evil, "--set", f"k={evil}")
    crew.fail(evil, type=evil, traceback=evil)
    shell("pause", "--reason", evil, "--type", evil)
    for words in (
        ["list"],
        ["show", id],
        ["why", id],
        ["stats"],
        ["stats", "--by", "type"],
        ["list", "--json"],
        ["show", id, "--json"],
    ):
        said = shell(*words).stdout
        assert not {character for character in said if character in "\x1b\x07\u202e\x9b\r"}, words
        assert "[red]" in said
    assert "\x1b" not in shell("show", "\x1b[31mnobody\n", code=1).stderr
    assert len(shell("show", "a\nb", code=1).stderr.splitlines()) == 1
    assert shell.json("show", id)["name"] == evil


def test_show_tells_all(shell: Any, crew: Any) -> None:
    shell("enqueue", "scan", '{"repo": "octo/cat"}', "--id", "mine")
    crew.fail("first", attempts=2)
    crew.fail("second", type="ValueError", traceback="Traceback:\n\tline 1\n")
    text = shell("show", "mine").stdout
    for part in (
        "mine  scan  failed\n",
        f"file               {shell.folder}/failed/mine.json\n",
        "attempts           2 of 3\n",
        '  "repo": "octo/cat"\n',
        "history\n  1. failed",
        f"on {crew.owner}: first\n",
        "error (error)\n  ValueError: second\n",
        "  Traceback:\n      line 1\n",
    ):
        assert part in text
    assert shell.json("show", "mine.json")["id"] == "mine"


def test_show_as_json_has_every_key_that_help_tells(shell: Any, crew: Any) -> None:
    id = shell.add("scan", "--set", "größe=1")
    waiting = shell.json("show", id)
    assert (waiting["position"], waiting["status"], waiting["rejected"]) == (1, "pending", None)
    claim = crew.claim()
    claimed = shell.json("show", id)
    assert (claimed["owner"], claimed["attempts"], claimed["cancelling"]) == (crew.owner, 1, False)
    assert claimed["file"] == f"{shell.folder}/claimed/{claim.token[0]}/{id}.json"
    assert list(waiting) == list(claimed)
    assert set(waiting) == set(documented(SHOW_EPILOG)) - {"reason", "message", "traceback", "exit_code", "peak_memory"} - {
        *("number", "outcome", "worker"),
        *("percent", "done", "total", "seconds_left", "attempt", "at"),
        *("due_at", "seconds", "code", "version", "subject"),
    } | {"owner"}


def documented(epilog: str) -> list[str]:
    """The words between the outermost braces behind --json."""
    shape = epilog[epilog.index("{", epilog.index("--json:")) : epilog.rindex("}")]
    for character in "{}[]:,":
        shape = shape.replace(character, " ")
    return shape.split()


def test_show_the_last(shell: Any) -> None:
    shell("enqueue", "a", "--priority", "low")
    b = shell.add("b")
    shell("enqueue", "a", "--id", "newest")
    assert shell.json("show", "--last")["id"] == "newest"
    assert shell.json("show", "--last", "--type", "b")["id"] == b
    assert "no job 'last c'" in shell.error("show", "--last", "--type", "c")
    for words in ([], ["x", "--last"], ["x", "--type", "a"]):
        assert "give the ID of a job, or --last" in shell.usage("show", *words)


def test_a_rejected_file_can_be_shown(shell: Any) -> None:
    (shell.folder / "failed" / "junk.json").write_text("{")
    (shell.folder / "failed" / "junk.reason").write_text("the text ends too early\n")
    said = shell.json("show", "junk")
    assert (said["rejected"], said["type"], said["status"]) == ("the text ends too early", "?", "failed")
    assert "rejected           the text ends too early" in shell("show", "junk").stdout


def test_an_unknown_job(shell: Any) -> None:
    for words in (["show", "nobody"], ["why", "nobody"], ["show", "nobody", "--json"]):
        assert shell.error(*words) == "no job 'nobody' in this queue"
    assert "Missing argument 'ID'" in shell.usage("why")


def test_a_purged_job_is_not_found_and_the_way_back_is_told(shell: Any) -> None:
    id = shell.add("scan")
    shell("delete", id)
    assert shell.error("show", id).endswith(f"it was purged; bring it back with: jobqueue restore {id}")


def test_why(shell: Any, crew: Any) -> None:
    id = shell.add("scan", "--delay", "1h")
    assert shell("why", id).stdout.startswith("Not started: due in")
    said = shell.json("why", id)
    assert sorted(said) == ["id", "position", "status", "why"]
    assert (said["id"], said["status"], said["position"]) == (id, "pending", 1)
    shell("cancel", id)
    assert shell.json("why", id)["position"] is None


def test_stats(shell: Any, crew: Any) -> None:
    shell("enqueue", "a", "--project", "p")
    shell("enqueue", "b", "--delay", "1h")
    shell("pause", "--reason", "disk", "--by", "ann")
    shell("pause", "--type", "b", "--by", "bob")
    said = shell.json("stats")
    assert (said["pending"], said["total"], said["delayed"], said["workers"]["count"]) == (2, 2, 1, 1)
    assert "paused by ann" in said["paused"]
    assert "paused by bob" in said["paused_types"]["b"]
    assert 0 <= said["oldest_age"] < 60
    assert set(said) | set(said["workers"]) == set(documented(STATS_EPILOG.partition("; oldest_age")[0] + "}")) - {
        "sentence",
        "type",
    }
    text = shell("stats").stdout
    for part in (
        "pending          2  (1 delayed)\n",
        "1 live worker, 1 slot\n",
        "the oldest due job has waited",
        "by ann",
        "by bob",
    ):
        assert part in text
    assert shell.json("stats", "--project", "p")["total"] == shell.json("stats", "--type", "b")["total"] == 1


def test_stats_by(shell: Any) -> None:
    shell("enqueue", "a", "--project", "p")
    shell("enqueue", "a")
    by_project = shell.json("stats", "--by", "project")
    assert by_project["by"] == "project"
    assert {name: group["pending"] for name, group in by_project["groups"].items()} == {"": 1, "p": 1}
    lines = shell("stats", "--by", "type").stdout.splitlines()
    assert lines[0].split()[:2] == ["type", "pending"]
    assert lines[1].split()[:2] == ["a", "2"]
    assert "by counts all jobs" in shell.usage("stats", "--by", "type", "--project", "p")
    assert "is not one of" in shell.usage("stats", "--by", "batch")


def test_workers(shell: Any, crew: Any) -> None:
    said = shell.json("workers")
    assert (said["count"], said["workers"][0]["owner"], said["workers"][0]["types"]) == (1, crew.owner, None)
    assert sorted(said["workers"][0]) == sorted(set(documented(WORKERS_EPILOG.partition("; types")[0])) - {"count", "workers"})
    head, line = shell("workers").stdout.splitlines()
    assert head.split() == ["worker", "host", "pid", "slots", "executor", "started", "running", "types"]
    assert line.startswith(crew.owner)
    assert line.endswith("all")


def test_check_and_doctor_on_a_sound_queue(shell: Any) -> None:
    shell("enqueue", "scan")
    for command in ("check", "doctor"):
        said = shell.json(command)
        assert said["ok"] is True
        assert all(sorted(finding) == ["fix", "found", "level", "what"] for finding in said["findings"])
        assert shell(command).stdout.splitlines()[-1].endswith(" 0 fail")
    shell("check", "--repair")


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_a_failure_is_exit_code_1(shell: Any, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    findings = [Finding("ok", "a", "fine"), Finding("warn", "b", "so\x1b so", "mend it"), Finding("fail", "c", "bad", "run")]
    place = {"check": "jobqueue.store.check.check", "doctor": "jobqueue.queue.doctor.doctor"}[command]
    monkeypatch.setattr(place, lambda queue, **options: asked.append(options) or findings)
    text = shell(command, code=1).stdout
    assert text == "ok    a: fine\nwarn  b: so\\x1b so\n      mend it\nfail  c: bad\n      run\n1 ok, 1 warn, 1 fail\n"
    said = shell.json(command, *(["--repair"] if command == "check" else []), code=1)
    assert (said["ok"], said["findings"][2]) == (False, {"level": "fail", "what": "c", "found": "bad", "fix": "run"})
    assert asked == ([{"repair": False}, {"repair": True}] if command == "check" else [{}, {}])


def test_what_the_store_has_to_say_is_a_note(shell: Any, queue: Any) -> None:
    """Once, in however many commands of one process, and not any more when the command has ended."""
    logger = logging.getLogger("jobqueue")
    for _ in range(2):
        with CliRunner().isolation() as (_, stderr, _), click.Context(program) as context:
            context.meta[QUEUE] = str(shell.folder)
            open_queue().close()
            logger.warning("set aside %s", "a\x1bb.json")
            assert stderr.getvalue() == b"note: set aside a\\x1bb.json\n"
        assert notes not in logger.handlers


def test_an_error_of_the_system_is_one_line(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "/q/x")

    monkeypatch.setattr("jobqueue.queue.queue.Queue.pause", full)
    assert shell.error("pause") == "/q/x: No space left on device"


def test_ctrl_c_in_a_command(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobqueue.queue.queue.Queue.pause", interrupt)
    assert shell("pause", code=130).stderr == "\n"


def test_names_that_are_not_utf_8(shell: Any) -> None:
    path = os.fsencode(Path(shell.folder, "pending")) + b"/caf\xe9.json"
    with open(path, "w") as file:
        file.write('{"type": "scan"}')
    assert "caf\\xe9" in shell("list").stdout
    assert ids(shell) == ["caf\udce9"]
    assert "caf\\xe9" in shell("show", "caf\udce9").stdout
