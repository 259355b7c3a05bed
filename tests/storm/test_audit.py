"""The audit is itself audited: a queue where all went well has nothing wrong, and whatever is tampered with is found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .storm import Storm
from .storm_actors import Actor
from .storm_audit import audit, gather, pid_of

PLAIN = ("1", "2", "3")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few jobs of each kind, some cancelled and some purged, run by one worker to their end."""
    folder = tmp_path_factory.mktemp("calm")
    storm = Storm(folder, 1)
    actor = Actor(folder, "producer", 1, 1)
    for token in (*PLAIN, "cancelled", "purged", "restored", "limited-1", "limited-2", "limited-3", "key-1", "key-2", "fails"):
        put(actor, token)
    say(actor, "cancel", "cancelled")
    work(storm)
    for verb, token in (("purge", "purged"), ("purge", "restored"), ("restore", "restored")):
        say(actor, verb, token)
    actor.queue.close()
    return folder


def put(actor: Actor, token: str) -> None:
    type = {"limited": "limited", "fails": "fails"}.get(token.partition("-")[0], "work")
    options = {"concurrency_key": "key"} if token.startswith("key") else {}
    call = actor.log.intent("put", [token], way="enqueue")
    job = actor.queue.enqueue(type, {"token": token, "seconds": 0, "pad": token * 20}, **options)
    actor.log.told(call, {token: job.outcome}, ids={token: job.id})


def say(actor: Actor, verb: str, token: str) -> None:
    id = dict(actor.follower.known())[token]
    call = actor.log.intent(verb, [token])
    (change,) = getattr(actor.queue.store, verb)([id])
    assert change.outcome == "changed"
    actor.log.told(call, {token: "changed"})


def work(storm: Storm) -> None:
    command = [
        sys.executable,
        "-m",
        "jobqueue.worker",
        "--queue",
        "q",
        "--handlers",
        "handlers.py",
        "--executor",
        "inline",
        "--drain",
    ]
    env = {**os.environ, "STORM_RUNS": str(storm.folder / "runs")}
    subprocess.run(command, cwd=storm.folder, env=env, check=True, capture_output=True)


class Scene:
    """A copy of it all, to be tampered with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue_dir = folder / "q"

    def found(self, *killed: int) -> list[str]:
        return audit(gather(self.folder, self.queue_dir, set(killed), set()))

    def file(self, token: str) -> Path:
        """Where the job lies."""
        for path in self.queue_dir.rglob("*.json"):
            if json.loads(path.read_text()).get("payload", {}).get("token") == token:
                return path
        raise AssertionError(f"{token} is nowhere")

    def change(self, token: str, **fields: Any) -> None:
        path = self.file(token)
        path.write_text(json.dumps(json.loads(path.read_text()) | fields, separators=(",", ":")))

    def runs(self) -> list[list[str]]:
        return [line.split(" ") for line in (self.folder / "runs").read_text().splitlines()]

    def write_runs(self, lines: list[list[str]]) -> None:
        (self.folder / "runs").write_text("".join(" ".join(line) + "\n" for line in lines))

    def run_of(self, token: str) -> tuple[int, int]:
        """From when to when it ran."""
        times = [int(words[1]) for words in self.runs() if words[3] == token]
        return min(times), max(times)

    def say_run(self, token: str, begin: int, over: int, type: str = "work", key: str = "-") -> None:
        """A run more, which came to an end."""
        lines = [
            [what, str(at), repr(at / 1e9), token, "1-999", "1", type, key] for what, at in (("start", begin), ("done", over))
        ]
        self.write_runs([*self.runs(), *lines])

    def change_journal(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        for path in (self.queue_dir / ".jobqueue" / "journal").iterdir():
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            if attempts := [line for line in lines if "what" not in line]:
                path.write_text("".join(json.dumps(line) + "\n" for line in change(attempts)))

    def at_once(self, tokens: list[str]) -> None:
        """The runs of these, moved to the same time."""
        begin, _ = self.run_of(tokens[0])
        moved = {token: begin - self.run_of(token)[0] for token in tokens}
        lines = self.runs()
        for words in lines:
            if words[3] in moved:
                words[1] = str(int(words[1]) + moved[words[3]] + (words[0] == "done") * 10**9)
        self.write_runs(lines)


@pytest.fixture
def scene(calm: Path, tmp_path: Path) -> Scene:
    shutil.copytree(calm, tmp_path / "copy")
    return Scene(tmp_path / "copy")


def run_twice(scene: Scene) -> None:
    begin, over = scene.run_of("1")
    scene.say_run("1", begin + 1, over + 1)


def run_after(token: str) -> Callable[[Scene], None]:
    def tamper(scene: Scene) -> None:
        at = max(json.loads(line)["at"] for line in (scene.folder / "log").read_text().splitlines())
        scene.say_run(token, at + 10**9, at + 2 * 10**9)

    return tamper


def without_lines(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return lines[1:]


def with_another(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*lines, {**lines[0], "number": 2}]


def stranger(scene: Scene) -> None:
    record = json.loads(scene.file("1").read_text())
    record["payload"]["token"] = "stranger"
    (scene.queue_dir / "done" / "stranger.json").write_text(json.dumps(record))


def with_finding(scene: Scene) -> None:
    with (scene.folder / "log").open("a") as file:
        file.write(json.dumps({"what": "checked", "repair": False, "found": ["fail one id in two places"]}) + "\n")


def to(folder: str, token: str) -> Callable[[Scene], None]:
    def tamper(scene: Scene) -> None:
        path = scene.file(token)
        path.rename(scene.queue_dir / folder / path.name)

    return tamper


TAMPERED: dict[str, tuple[Callable[[Scene], object], str]] = {
    "a job is deleted": (lambda scene: scene.file("1").unlink(), "1: lost"),
    "a job is there twice": (lambda scene: shutil.copy(scene.file("1"), scene.queue_dir / "failed"), "1: lies in"),
    "a job has a copy": (lambda scene: shutil.copy(scene.file("1"), scene.queue_dir / "done" / "1~1.json"), "1: lies in"),
    "a job is torn": (lambda scene: os.truncate(scene.file("1"), 50), "1: lost"),
    "a job has lost a part": (lambda scene: scene.change("1", payload={"token": "1", "pad": "1"}), "1: is torn"),
    "a job is left behind": (to("pending", "1"), "1: is left in pending"),
    "a job came from nowhere": (stranger, "nobody made it"),
    "a job ran twice at once": (run_twice, "1: ran twice at the same time"),
    "a job ran once more": (run_after("1"), "1: attempt 1 ran (done) and stands in no line"),
    "a cancelled job ran": (run_after("cancelled"), "cancelled: started 1 times after it was changed"),
    "a purged job ran": (run_after("purged"), "purged: started 1 times after it was purged"),
    "a purged job is back": (to("done", "purged"), "purged: was purged and lies in ['done']"),
    "a restored job is gone": (to(".jobqueue/trash", "restored"), "restored: lies in the trash"),
    "a job is in the trash": (to(".jobqueue/trash", "1"), "1: lies in the trash"),
    "a result is another": (lambda scene: scene.change("1", result={"token": "2"}), "1: is done with"),
    "a job has failed": (lambda scene: scene.change("1", error={"message": "no"}), "1: is done with"),
    "a failed job has no error": (lambda scene: scene.change("fails", error=None), "fails: failed without an error"),
    "nobody cancelled it": (
        lambda scene: scene.change("fails", error={"reason": "cancelled"}),
        "fails: was cancelled, and nobody asked",
    ),
    "the journal lacks an attempt": (lambda scene: scene.change_journal(without_lines), "stands in no line"),
    "the journal has one more": (lambda scene: scene.change_journal(with_another), "no run belongs to it"),
    "two have one key": (lambda scene: scene.at_once(["key-1", "key-2"]), "key: 2 jobs ran at the same time"),
    "three run of two": (lambda scene: scene.at_once(["limited-1", "limited-2", "limited-3"]), "limited: 3 jobs ran"),
    "a claim folder is left": (lambda scene: (scene.queue_dir / "claimed" / "worker-7-7-ab").mkdir(), "claimed/worker-7-7-ab"),
    "a lock is left": (lambda scene: (scene.queue_dir / ".jobqueue/locks/worker-7-7-ab").touch(), "locks/worker-7-7-ab"),
    "a temporary file is left": (lambda scene: (scene.queue_dir / ".jobqueue/tmp/7-ab-1").touch(), "tmp/7-ab-1"),
    "a worker is left": (lambda scene: (scene.queue_dir / ".jobqueue/workers/worker-7-7-ab.json").touch(), "workers/worker-7"),
    "a look has found something": (with_finding, "one id in two places"),
}


def test_where_all_went_well_nothing_is_wrong(scene: Scene) -> None:
    assert scene.found() == []


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_tampered_with_is_found(scene: Scene, name: str) -> None:
    tamper, expected = TAMPERED[name]
    tamper(scene)

    assert any(expected in line for line in scene.found()), scene.found()


def test_an_attempt_that_a_killed_worker_did_not_give_back_must_count(scene: Scene) -> None:
    workers: set[int] = set()

    def given_back(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        workers.update(pid_of(line["worker"]) for line in lines)
        return [{**line, "outcome": "released"} for line in lines]

    scene.change_journal(given_back)

    assert not any("without a warning" in line for line in scene.found())
    assert any("1: attempt 1 was given back, and its worker" in line for line in scene.found(*workers))
