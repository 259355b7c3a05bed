"""`jobqueue enqueue`: arguments, options, files, waiting."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jobqueue.cli.adding import enqueue
from jobqueue.errors import NotAcknowledged
from jobqueue.model.request import OPTIONS
from jobqueue.queue.queue import Queue


def test_created_then_exists(shell: Any) -> None:
    first = shell("enqueue", "scan", '{"repo": "octo/cat"}', "--key", "k")
    word, id = first.stdout.split()
    assert word == "created"
    assert first.stderr.startswith("note: no live worker serves 'scan'")
    assert len(first.stderr.splitlines()) == 1
    assert shell("enqueue", "scan", "--idempotency-key", "k").stdout == f"exists {id}\n"
    assert shell.add("scan", "--key", "k", "--force") != id
    assert shell.json("show", id)["payload"] == {"repo": "octo/cat"}


def test_no_note_where_a_worker_serves_it(shell: Any, crew: Any) -> None:
    assert shell("enqueue", "scan").stderr == ""


def test_settings_are_json_or_text(shell: Any) -> None:
    pairs = {
        "n": "3",
        "ok": "true",
        "list": "[1, 2]",
        "text": "octo/cat",
        "broken": "[1",
        "empty": "",
        "eq": "a=b",
        "nan": "NaN",
    }
    words = [word for key, value in pairs.items() for word in ("--set", f"{key}={value}")]
    id = shell.add("scan", '{"n": 1, "kept": 0}', *words)
    assert shell.json("show", id)["payload"] == {
        "n": 3,
        "kept": 0,
        "ok": True,
        "list": [1, 2],
        "text": "octo/cat",
        "broken": "[1",
        "empty": "",
        "eq": "a=b",
        "nan": "NaN",
    }


def test_the_payload_from_stdin(shell: Any) -> None:
    id = shell("enqueue", "scan", "-", "--set", "b=2", input='{"a": 1}\n').stdout.split()[1]
    assert shell.json("show", id)["payload"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scan", "{'a': 1}"], "payload: line 1, column 2: not JSON"),
        (["scan", "[1]"], "payload: a list is not a payload"),
        (["scan", '{"a": NaN}'], "payload: NaN is not JSON"),
        (["scan", '{"a": 1, "a": 2}'], "payload: the key 'a' stands twice"),
        ([" "], "type: ' ' is not a type"),
        (["scan", "--priority", "100"], "priority: 100 is out of range"),
        (["scan", "--priority", "soon"], "priority: 'soon' is not a priority"),
        (["scan", "--delay", "soon"], "delay: cannot read 'soon'"),
        (["scan", "--delay", "1m", "--run-after", "2030-01-01T00:00:00Z"], "delay: given together with run_after"),
        (["scan", "--run-after", "2030-01-01T00:00:00"], "run_after: 2030-01-01T00:00:00 has no time zone"),
        (["scan", "--max-attempts", "0"], "max_attempts: 0 is out of range"),
        (["scan", "--max-attempts", "2", "--max-retries", "1"], "max_retries: given together with max_attempts"),
        (["scan", "--key-scope", "active"], "key_scope: given without idempotency_key"),
        (["scan", "--after", "nobody"], "no job 'nobody' in this queue"),
        (["scan", "--id", "../up"], "id: '../up' cannot be a file name"),
        (["scan", "--backoff", "[]"], "backoff: an empty list"),
    ],
)
def test_what_cannot_be_a_job(shell: Any, words: list[str], said: str) -> None:
    assert said in shell.error("enqueue", *words)
    assert shell.json("stats")["total"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the TYPE of the job"),
        (["scan", "--set", "novalue"], "'novalue' is not key=value"),
        (["scan", "--set", "=x"], "'=x' is not key=value"),
        (["scan", "{}", "--file", "-"], "--file goes with neither"),
        (["scan", "--file", "-", "--wait"], "--file goes with neither"),
        (["scan", "--max-attempts", "many"], "is not a valid integer"),
        (["--wait", "scan"], "write --wait=30s"),
        (["scan", "--on-parent-failure", "panic"], "is not one of"),
        (["scan", "--colour"], "No such option"),
    ],
)
def test_wrong_usage(shell: Any, words: list[str], said: str) -> None:
    assert said in shell.usage("enqueue", *words)


def test_every_option_of_the_queue_is_a_flag() -> None:
    assert {param.name for param in enqueue.params} >= OPTIONS


def test_every_flag_reaches_the_job(shell: Any) -> None:
    parent = shell.add("parent")
    id = shell.add(
        "scan",
        *("--priority", "high", "--run-after", "2999-01-01T00:00:00Z", "--max-retries", "4", "--backoff", '["1s", "10s"]'),
        *("--timeout", "90", "--expires-at", "2999-01-02T00:00:00Z", "--after", parent, "--on-parent-failure", "run"),
        *("--key", "k", "--key-scope", "24h", "--name", "n", "--project", "p", "--batch", "b", "--tag", "x", "--tag", "y"),
        *("--concurrency-key", "c", "--pipeline-version", "7", "--run-id", "12", "--redo-of", '{"row": 3}', "--id", "mine"),
    )
    assert id == "mine"
    job = shell.json("show", id)
    expected = {
        "priority": 5,
        "run_after": "2999-01-01T00:00:00.000000Z",
        "max_attempts": 5,
        "timeout": 90.0,
        "expires_at": "2999-01-02T00:00:00.000000Z",
        "after": [parent],
        "on_parent_failure": "run",
        "idempotency_key": "k",
        "key_scope": "24h",
        "name": "n",
        "project": "p",
        "batch": "b",
        "tags": ["x", "y"],
        "concurrency_key": "c",
        "pipeline_version": "7",
        "run_id": 12,
        "redo_of": {"row": 3},
    }
    assert {key: job[key] for key in expected} == expected
    assert job["backoff"]["steps"] == [1.0, 10.0]
    text = shell("show", id).stdout
    for label in ("tags", "after", "backoff", "timeout", "key_scope", "redo_of"):
        assert f"\n{label}" in text


def test_delay_and_expiry_count_from_now(shell: Any) -> None:
    job = shell.json("enqueue", "scan", "--delay", "10", "--expires-in", "1h", "--max-attempts", "1", "--priority", "7")["job"]
    assert job["created_at"] < job["run_after"] < job["expires_at"]
    assert (job["max_attempts"], job["priority"]) == (1, 7)


def test_json_of_one_job(shell: Any) -> None:
    said = shell.json("enqueue", "scan", "--key", "k")
    assert sorted(said) == ["job", "outcome", "superseded"]
    assert (said["outcome"], said["job"]["status"]) == ("created", "pending")
    assert shell.json("enqueue", "scan", "--key", "k")["outcome"] == "exists"


def test_wait_gives_the_result(shell: Any, crew: Any) -> None:
    worker = threading.Thread(target=finish_soon, args=(crew,))
    worker.start()
    said = shell("enqueue", "scan", "--wait", "20s").stdout.splitlines()
    worker.join()
    assert [said[0].split()[0], said[1].split()[0], *said[2:]] == ["created", "done", "{", '  "n": 1', "}"]


def finish_soon(crew: Any) -> None:
    deadline = time.monotonic() + 10
    while not crew.queue.store.counts()["pending"] and time.monotonic() < deadline:
        time.sleep(0.01)
    crew.done({"n": 1})


def test_waiting_for_a_job_that_failed_is_an_error(shell: Any, crew: Any) -> None:
    shell("enqueue", "scan", "--key", "k")
    crew.fail("no\nluck")
    again = shell("enqueue", "scan", "--key", "k", "--wait", code=1)
    assert again.stdout.startswith("exists ")
    assert again.stderr.startswith("error: job ")
    assert again.stderr.endswith(" failed (error): no luck\n")
    said = shell.json("enqueue", "scan", "--key", "k", "--wait", code=1)
    assert said["job"]["error"]["message"] == "no\nluck"


def test_waiting_has_an_end(shell: Any, crew: Any) -> None:
    assert "has not finished in 0.05s" in shell.error("enqueue", "scan", "--wait=0.05")


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_a_file_of_jobs(shell: Any, tmp_path: Path) -> None:
    records = (
        {"type": "scan", "payload": {"n": 1}, "priority": "high", "tags": ["own"]},
        {"type": "export", "idempotencyKey": "k", "maxRetries": 1, "delay": "10m"},
        {"type": "export", "idempotency_key": "k"},
        {"type": "scan", "id": "given", "data": {"n": 2}, "force": False},
    )
    (tmp_path / "jobs.jsonl").write_text("\n" + lines(*records) + "\n\n")
    assert shell("enqueue", "--file", "jobs.jsonl", "--project", "p1", "--tag", "all").stdout == "created 3 jobs, 1 existed\n"
    jobs = {job["priority"]: job for job in shell.json("list", "--type", "scan")["jobs"]}
    assert (jobs[5]["payload"], jobs[5]["tags"], jobs[5]["project"]) == ({"n": 1}, ["own"], "p1")
    assert (jobs[10]["id"], jobs[10]["payload"], jobs[10]["tags"]) == ("given", {"n": 2}, ["all"])
    (export,) = shell.json("list", "--type", "export")["jobs"]
    assert (export["max_attempts"], export["run_after"] is not None) == (2, True)


def test_a_file_of_payloads_from_stdin(shell: Any) -> None:
    said = shell.json("enqueue", "scan", "--file", "-", "--key-scope", "exists", "--key", "one", input='{"n": 1}\n{"n": 2}\n')
    assert (said["created"], said["exists"]) == (1, 1)
    assert [job["outcome"] for job in said["jobs"]] == ["created", "exists"]
    assert len({job["id"] for job in said["jobs"]}) == 1
    assert shell("enqueue", "scan", "--file", "-", input="").stdout == "created 0 jobs\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"type": "scan"', "stdin:2: column 16: not JSON"),
        ("[]", "stdin:2: not a JSON object"),
        ('{"payload": {}}', "stdin:2: type: missing"),
        ('{"type": 7}', "stdin:2: type: 7 is not a type"),
        ('{"type": "scan", "payload": 7}', "stdin:2: payload: a int is not a payload"),
        ('{"type": "scan", "priority": 100}', "stdin:2: priority: 100 is out of range"),
        ('{"type": "scan", "prioritty": 1}', "stdin:2: prioritty: not an option (did you mean 'priority'?)"),
        ('{"type": "scan", "id": 7}', "stdin:2: id: 7 is not a text"),
        ('{"type": "scan", "after": ["nobody"]}', "stdin:2: no job 'nobody' in this queue"),
    ],
)
def test_one_bad_line_and_nothing_is_stored(shell: Any, line: str, said: str) -> None:
    assert said in shell.error("enqueue", "--file", "-", input='{"type": "scan"}\n' + line + "\n")
    assert shell.json("stats")["total"] == 0


def test_a_list_can_be_read_again(shell: Any, tmp_path: Path, crew: Any) -> None:
    shell("enqueue", "scan", '{"n": 1}', "--tag", "x", "--backoff", "5s")
    crew.done(7)
    (tmp_path / "dump").write_text(lines(*shell.json("list")["jobs"]))
    old = shell.folder
    shell.folder = tmp_path / "other"
    assert shell("enqueue", "--file", "dump").stdout == "created 1 job\n"
    assert shell("enqueue", "--file", "dump").stdout == "created 0 jobs, 1 existed\n"
    (job,) = shell.json("list")["jobs"]
    assert (job["status"], job["payload"], job["tags"], job["result"], job["attempts"]) == ("pending", {"n": 1}, ["x"], None, 0)
    assert job["backoff"]["steps"] == [5.0]
    assert old != shell.folder


def test_a_file_that_is_not_there(shell: Any) -> None:
    assert shell.error("enqueue", "--file", "missing.jsonl") == "missing.jsonl: No such file or directory"


def test_an_error_in_the_middle_says_how_far_it_came(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put, calls = Queue.put, []

    def full_disk(queue: Queue, jobs: Any, options: Any) -> Any:
        calls.append(len(jobs))
        if len(calls) > 1:
            raise NotAcknowledged("the disk failed")
        return put(queue, jobs, options)

    monkeypatch.setattr(Queue, "put", full_disk)
    monkeypatch.setattr("jobqueue.cli.adding.GROUP", 2)
    said = shell.error("enqueue", "scan", "--file", "-", input='{"n": 1}\n' * 5)
    assert said == "the disk failed (2 of 5 lines had been stored before)"
    calls.append(0)
    assert shell.error("enqueue", "scan", "--file", "-", input='{"n": 1}\n') == "the disk failed"


def test_a_folder_that_nobody_can_write_to(shell: Any) -> None:
    os.rmdir(shell.folder / "done")
    (shell.folder / "done").symlink_to(shell.folder / "failed")
    assert "is not a folder (a symlink is not followed)" in shell.error("enqueue", "scan")
