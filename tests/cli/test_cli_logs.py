"""`logs`, and what `show` says of a log and of progress."""

from __future__ import annotations

from typing import Any

from jobqueue import Queue
from jobqueue.model.progress import Progress


def write(queue: Queue, id: str, text: str) -> None:
    log = queue.store.notes.open_log(id, "--- attempt 1 ---")
    log.write(text.encode())
    log.close()


def test_the_last_lines_of_a_log(shell: Any, queue: Queue) -> None:
    id = shell.add("scan")
    write(queue, id, "".join(f"line {number}\n" for number in range(300)))

    assert shell("logs", id, "-n", "2").stdout == "line 298\nline 299\n"
    assert shell("log", "--last", "-n", "1").stdout == "line 299\n"
    assert len(shell("logs", "--last", "--type", "scan").stdout.splitlines()) == 200
    assert shell.json("logs", id, "-n", "1") == {"id": id, "status": "pending", "lines": ["line 299"], "progress": None}


def test_a_job_that_printed_nothing(shell: Any, queue: Queue) -> None:
    id = shell.add("scan")

    result = shell("logs", id)

    assert (result.stdout, result.stderr) == ("", f"note: {id} has printed nothing\n")


def test_what_a_job_printed_cannot_paint_over_the_terminal(shell: Any, queue: Queue) -> None:
    id = shell.add("scan")
    write(queue, id, "\x1b[2J red\r\n")

    assert "\x1b" not in shell("logs", id).stdout
    assert "\\x1b[2J red" in shell("show", id).stdout


def test_following_a_job_that_has_ended_tells_how(shell: Any, queue: Queue, crew: Any) -> None:
    shell.add("scan")
    done = crew.done()
    shell.add("scan")
    failed = crew.fail("no luck")
    write(queue, done, "no line end")

    result = shell("logs", done, "-f")
    assert result.stdout == "--- attempt 1 ---\nno line end\n"
    assert result.stderr.startswith("Done ")
    assert "no luck" in shell("logs", failed, "--follow", code=1).stderr


def test_show_tells_the_progress_and_the_end_of_the_log(shell: Any, queue: Queue, crew: Any) -> None:
    id = shell.add("scan")
    crew.claim()
    queue.store.notes.set_progress(id, Progress(percent=25, done=3, total=12, message="row 3"))
    write(queue, id, "".join(f"line {number}\n" for number in range(30)))

    shown = shell("show", id).stdout

    assert "progress           25 % (3 of 12), row 3" in shown
    assert shown.rstrip().splitlines()[-10:] == [f"  line {number}" for number in range(20, 30)]
    assert shell.json("show", id)["progress"]["done"] == 3


def test_wrong_calls(shell: Any) -> None:
    assert "give the ID of a job, or --last" in shell.usage("logs")
    assert "give the ID of a job, or --last" in shell.usage("logs", "x", "--last")
    assert "--follow and --json do not go together" in shell.usage("logs", "x", "-f", "--json")
    assert "no job 'x'" in shell.error("logs", "x")
