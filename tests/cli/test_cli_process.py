"""The command as a process: exit codes, what is imported, pipes, signals, completion in a shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "jobqueue"]


def run(*arguments: str | bytes, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=os.environ | environ, capture_output=True, text=True, encoding="utf-8", timeout=60
    )


def test_the_three_exit_codes(tmp_path: Path) -> None:
    assert run("init", "q").returncode == 0
    done = run("list", "-q", "q", "--json")
    assert (done.returncode, json.loads(done.stdout)["total"], done.stderr) == (0, 0, "")
    failed = run("-q", "q", "show", "nobody")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "error: no job 'nobody' in this queue\n"
    assert run("-q", "q", "show").returncode == 2


def test_help_is_fast_and_light() -> None:
    code = """if True:
        import sys
        from jobqueue.cli import program
        heavy = ("rich", "watchdog", "yaml", "pandas", "humanize", "jobqueue.store", "jobqueue.queue", "jobqueue.worker")
        print([name for name in heavy if name in sys.modules])
        try:
            program(["--help"])
        except SystemExit:
            print([name for name in heavy if name in sys.modules])
    """
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == lines[-1] == "[]"


@pytest.mark.parametrize("place", ["before", "behind", "environment"])
def test_the_queue_may_be_named_in_three_places(tmp_path: Path, place: str) -> None:
    run("init", "named")
    run("enqueue", "scan", "-q", "named")
    words = {"before": ["-q", "named", "list"], "behind": ["list", "-q", "named"], "environment": ["list"]}[place]
    environ = {"JOBQUEUE_DIR": "named"} if place == "environment" else {}
    assert json.loads(run(*words, "--json", **environ).stdout)["total"] == 1


def test_the_one_behind_the_command_counts() -> None:
    run("init", "a")
    run("init", "b")
    run("enqueue", "scan", "-q", "b")
    assert json.loads(run("-q", "a", "list", "-q", "b", "--json").stdout)["total"] == 1


def test_a_reader_that_goes_away_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text('{"type": "scan"}\n' * 3000)
    run("enqueue", "--file", "jobs")
    words = " ".join(COMMAND)
    for command in (f"{words} list -n all | head -1", f"{words} list -n all --json | head -1"):
        done = subprocess.run(["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
        assert done.stderr == ""
        assert done.stdout.splitlines()[-1] == "141"


def test_ctrl_c_ends_quietly_with_130() -> None:
    run("init")
    waiting = subprocess.Popen(
        [*COMMAND, "enqueue", "scan", "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert waiting.stdout is not None
    assert waiting.stdout.readline().startswith("created ")
    time.sleep(0.1)
    waiting.send_signal(signal.SIGINT)
    _, stderr = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert "Traceback" not in stderr


def test_a_terminal_that_is_not_utf_8_and_a_name_that_is_not_either(tmp_path: Path) -> None:
    run("init", "q")
    name = os.fsencode(tmp_path / "q" / "pending") + b"/caf\xe9.json"
    with open(name, "w") as file:
        file.write('{"type": "größe", "payload": {"x": "日本"}}')
    latin = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for words in (["list"], ["list", "--json"], ["show", b"caf\xe9"], ["why", b"caf\xe9"]):
        for environ in ({}, latin):
            done = subprocess.run([*COMMAND, "-q", "q", *words], env=os.environ | environ, capture_output=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, b"")
    assert "caf\\xe9" in run("-q", "q", "list").stdout
    listed = json.loads(run("-q", "q", "list", "--json", **latin).stdout)
    assert [job["id"] for job in listed["jobs"]] == ["caf\udce9"]
    assert listed["jobs"][0]["type"] == "größe"
    assert run("-q", "q", "delete", b"caf\xe9").stdout == "deleted caf\\xe9\n"


def test_a_worker_runs_what_was_enqueued(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(
        "from jobqueue import handler\n\n@handler\ndef double(number: int) -> int:\n    return 2 * number\n"
    )
    run("init", "q")
    id = run("-q", "q", "enqueue", "double", "--set", "number=21").stdout.split()[1]
    worked = run("-q", "q", "worker", "--handlers", "handlers.py", "--drain", "--executor", "inline")
    assert worked.returncode == 0, worked.stderr
    job = json.loads(run("-q", "q", "show", id, "--json").stdout)
    assert (job["status"], job["result"]) == ("done", 42)
    again = run("-q", "q", "enqueue", "double", "--id", id, "--wait=5s")
    assert again.stdout == f"exists {id}\ndone {id}\n42\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script(shell: str) -> None:
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "_JOBQUEUE_COMPLETE" in done.stdout
    if (program := shutil.which(shell)) is not None:
        assert subprocess.run([program, "-n"], input=done.stdout, text=True, capture_output=True).stderr == ""


def test_completion_answers_and_never_complains(tmp_path: Path) -> None:
    run("init", "q")
    id = run("-q", "q", "enqueue", "scan").stdout.split()[1]

    def complete(line: str, **environ: str) -> list[str]:
        asked = {"_JOBQUEUE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        done = run(**(asked | environ))
        assert (done.returncode, done.stderr) == (0, "")
        return [word.partition(",")[2] for word in done.stdout.splitlines() if word]

    assert complete("jobqueue enq") == ["enqueue"]
    assert complete("jobqueue -q q show 10-") == [id]
    assert complete("jobqueue show 10-", JOBQUEUE_DIR="q") == [id]
    assert complete("jobqueue show 10-", JOBQUEUE_DIR="missing") == []
    assert not (tmp_path / "missing").exists()
    (tmp_path / "jobqueue.yaml").write_text("concurency: 4\n")
    assert complete("jobqueue show 10-") == []


def test_the_error_of_a_broken_setting_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").write_text("concurency: 4\n")
    failed = run("stats")
    assert failed.returncode == 1
    assert failed.stderr == "error: jobqueue.yaml:1: concurency: unknown key (did you mean 'concurrency'?)\n"


def test_version() -> None:
    assert run("--version").stdout == "jobqueue, version 0.1.0\n"
