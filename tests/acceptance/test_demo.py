"""The demo, run as a user runs it: a real worker process over a real repository, checked against git itself."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobqueue import Queue

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def outside_git() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def git(repo: Path, *arguments: str) -> str:
    who = (
        "-c",
        "user.name=Ann",
        "-c",
        "user.email=ann@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "core.hooksPath=/dev/null",
    )
    command = ["git", *who, "-C", str(repo), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=outside_git()).stdout


def commit(repo: Path, message: str) -> None:
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--allow-empty", "-m", message)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five commits: a binary file, a deletion, a merge; a path and messages that nobody would wish for."""
    repo = tmp_path_factory.mktemp("repos") / "a repo; [red]$(x)"
    repo.mkdir()
    git(repo, "init", "--quiet", "--initial-branch", "main")
    (repo / "one.py").write_text("a = 1\nb = 2\n")
    (repo / "image.bin").write_bytes(bytes(range(256)))
    commit(repo, "[bold]first[/bold] \x1b[31mred\x07")
    (repo / "naïve name.md").write_text("# Title\n")
    (repo / "one.py").write_text("a = 1\n")
    commit(repo, "--second 'quoted' \"twice\" [/]")
    git(repo, "checkout", "--quiet", "-b", "side", "HEAD~1")
    (repo / "side.rs").write_text("fn main() {}\n" * 3)
    commit(repo, "\u202eside")
    git(repo, "checkout", "--quiet", "main")
    git(repo, "merge", "--quiet", "--no-ff", "-m", "merge side", "side")
    git(repo, "rm", "--quiet", "image.bin")
    commit(repo, "take it out")
    return repo


def run_demo(queue: Path, repo: Path, *more: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO), "--repo", str(repo), "--queue", str(queue), "--delay", "0.5s", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=queue.parent, env=outside_git())
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def batch_of(done: subprocess.CompletedProcess[str]) -> str:
    match = re.search(r"batch (demo-[\d-]+)", done.stdout)
    assert match is not None, done.stdout
    return match[1]


@pytest.fixture(scope="module")
def first(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The queue folder of one run, and what it printed."""
    queue = tmp_path_factory.mktemp("first") / "queue"
    return queue, run_demo(queue, repo, "--delay", "3s")


First = tuple[Path, subprocess.CompletedProcess[str]]


@needs_git
def test_every_commit_is_analysed_with_the_numbers_that_git_gives(repo: Path, first: First) -> None:
    folder, done = first
    with Queue(folder, create=False) as queue:
        jobs = [*queue.jobs("done", batch=batch_of(done), limit=None), queue.get(f"by-hand-{batch_of(done)}")]
        results = {job.payload["commit"]: job.result() for job in jobs}
    assert set(results) == set(git(repo, "rev-list", "HEAD").split())
    for commit, result in results.items():
        parents = git(repo, "rev-list", "--parents", "-n1", commit).split()[1:]
        lines = git(repo, "diff", "--numstat", parents[0] if parents else EMPTY_TREE, commit).splitlines()
        numbers = [[int(number) if number != "-" else 0 for number in line.split("\t")[:2]] for line in lines]
        assert result["files"] == len(lines)
        assert result["added"] == sum(added for added, _ in numbers)
        assert result["removed"] == sum(removed for _, removed in numbers)
    oldest = results[git(repo, "rev-list", "--max-parents=0", "HEAD").strip()]
    assert oldest == {"files": 2, "added": 2, "removed": 0, "bytes": 268, "languages": {"Python": [2, 0], ".bin": [0, 0]}}


@needs_git
def test_the_special_jobs_did_what_they_are_there_to_show(first: First) -> None:
    folder, done = first
    batch = batch_of(done)
    with Queue(folder, create=False) as queue:
        (broken,) = queue.jobs("failed", batch=batch)
        assert broken.attempts == 3
        assert [attempt.outcome for attempt in broken.history] == ["failed", "failed"]
        assert "bad object" in (broken.error.message if broken.error else "")
        (delayed,) = [job.record for job in queue.jobs("done", batch=batch) if job.run_after is not None]
        assert delayed.claimed_at is not None
        assert delayed.run_after is not None
        assert delayed.created_at is not None
        assert delayed.claimed_at >= delayed.run_after
        assert (delayed.run_after - delayed.created_at).total_seconds() == pytest.approx(3, abs=0.01)
        assert queue.get(f"by-hand-{batch}").status == "done"
        assert queue.workers() == []
        assert queue.stats().claimed == 0


@needs_git
def test_what_is_printed_into_a_pipe_is_plain_and_names_what_to_do_next(first: First) -> None:
    folder, done = first
    assert not CONTROL.search(done.stdout)
    assert "\u202e" not in done.stdout
    assert done.stderr == ""
    for text in ("has 5 commits", "5 commits, by language", "jobqueue", " why ", "ls queue/*"):
        assert text in done.stdout
    # the five slowest of six jobs are named: one of the two titles that look like markup is always among them
    assert "[bold]first[/bold]" in done.stdout or "--second 'quoted' \"twice\" [/]" in done.stdout
    shown = re.search(r"cat (\S+\.json)", done.stdout)
    assert shown is not None
    assert (folder.parent / shown[1]).is_file()


@needs_git
def test_a_second_run_works_and_speaks_only_of_its_own_jobs(repo: Path, first: First) -> None:
    folder, done = first
    again = run_demo(folder, repo, "--limit", "2")
    assert batch_of(again) != batch_of(done)
    assert "has 5 commits, the newest 2 of them" in again.stdout
    assert re.search(r"done/ +5 +10 *\n", again.stdout), again.stdout
    assert re.search(r"failed/ +1 +2 *\n", again.stdout), again.stdout


@needs_git
@pytest.mark.parametrize("options", [["--bare"], ["--depth", "2"]])
def test_bare_and_shallow_clones_work(repo: Path, tmp_path: Path, options: list[str]) -> None:
    git(tmp_path, "clone", "--quiet", *options, repo.as_uri(), "clone")
    assert "by language" in run_demo(tmp_path / "queue", tmp_path / "clone").stdout


def test_without_a_history_it_analyses_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue").chmod(0o777)
    done = run_demo(tmp_path / "queue", tmp_path / "plain", "--limit", "20")
    assert (tmp_path / "queue").stat().st_mode & 0o022 == 0  # made private, as `jobqueue init` does
    assert "No commits to analyse" in done.stdout
    with Queue(tmp_path / "queue", create=False) as queue:
        jobs = queue.jobs("done", batch=batch_of(done), limit=None)
        assert len(jobs) == 19
        for job in jobs:
            text = Path(job.payload["path"]).read_bytes()
            result = job.result()
            assert result["bytes"] == len(text)
            assert result["lines"] == result["code"] + result["comments"] + result["blank"]
            assert result["functions"] >= len(re.findall(rb"(?m)^def ", text)) * (b'"""' not in text)
        (broken,) = queue.jobs("failed", batch=batch_of(done))
        assert broken.attempts == 3
        assert broken.error is not None
        assert broken.error.type == "FileNotFoundError"


def test_a_paused_queue_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with Queue(tmp_path / "queue") as queue:
        queue.pause("disk maintenance")
    (tmp_path / "plain").mkdir()
    done = run_demo(tmp_path / "queue", tmp_path / "plain", expect=1)
    assert "disk maintenance" in done.stderr
    assert "jobqueue resume" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_the_demo_stops_its_worker(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "plain").mkdir()
    command = [sys.executable, str(DEMO), "--repo", str(tmp_path / "plain"), "--queue", str(tmp_path / "queue")]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_a_worker(tmp_path / "queue")
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "stopped; the worker has ended" in errors
    with Queue(tmp_path / "queue", create=False) as queue:
        assert queue.workers() == []
        assert queue.stats().claimed == 0


def test_a_worker_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    command = [sys.executable, str(DEMO), "--repo", str(tmp_path / "plain"), "--queue", str(tmp_path / "queue")]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.kill(wait_for_a_worker(tmp_path / "queue"), signal.SIGKILL)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "the worker was killed by SIGKILL" in errors
    assert "the end of its log" in errors


def wait_for_a_worker(folder: Path) -> int:
    """The process id of the first worker that is alive there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (folder / ".jobqueue" / "logs").is_dir():
            with Queue(folder) as queue:
                if workers := queue.workers():
                    return workers[0].pid
        time.sleep(0.05)
    raise AssertionError("no worker has started")
