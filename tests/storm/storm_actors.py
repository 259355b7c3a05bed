"""Who takes part in a storm: each is a process of its own, which repeats one turn after another until it is killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobqueue import Queue
from jobqueue.queue.config import Config
from jobqueue.store import files

from .storm_log import TYPES, Follower, Log

SETTLE = 0.2
KEYS = 6
LEGITIMATE = frozenset({
    "check", "claims of the dead", "file of a dead worker", "key of no job", "lock of nobody",
    "cancel mark without a job that could run",
})  # fmt: skip
"""What a look at a queue may find where processes are killed all the time; all of it is mended."""


class Actor:
    def __init__(self, folder: Path, role: str, serial: int, seed: int, durability: str | None = None) -> None:
        self.folder = folder
        self.queue_dir = folder / "q"
        self.random = random.Random(f"{seed} {serial}")
        self.log = Log(folder / "log", role, serial)
        self.follower = Follower(folder / "log")
        self.serial = serial
        self.made = 0
        durability = durability or self.random.choice(["strict", "relaxed", "relaxed"])
        self.queue = Queue(self.queue_dir, config=Config(durability=durability, settle_time=SETTLE))
        self.turn: Callable[[], None] = getattr(self, role)

    def some(self, most: int) -> dict[str, str]:
        """Ids of jobs that were acknowledged, with their tokens; rather the latest, where the most is going on."""
        known = self.follower.known()
        recent = known[-40:]
        chosen = [self.random.choice(recent if self.random.random() < 0.6 else known) for _ in range(most) if known]
        return {id: token for token, id in chosen}

    # -- jobs come in

    def payload(self) -> dict[str, Any]:
        self.made += 1
        token = f"{self.serial}.{self.made}"
        return {"token": token, "seconds": self.random.choice([0, 0, 0.001, 0.01]), "pad": token * 20}

    def producer(self) -> None:
        way = self.random.choice(["enqueue", "enqueue", "many", "keyed", "mv", "cp", "slow cp", "concurrency key"])
        type = self.random.choice(TYPES)
        if way == "many":
            self.put_many(type)
        elif way in ("mv", "cp", "slow cp"):
            self.drop(way, type)
        else:
            self.put_one(way, type)
        time.sleep(self.random.choice([0.002, 0.01, 0.04]))

    def put_one(self, way: str, type: str) -> None:
        payload = self.payload()
        token = payload["token"]
        options: dict[str, Any] = {"priority": self.random.randrange(100)}
        if way == "keyed":
            options["idempotency_key"] = f"key {token}"
        elif way == "concurrency key":
            options["concurrency_key"] = f"key {self.random.randrange(KEYS)}"
        call = self.log.intent("put", [token], way=way)
        job = self.queue.enqueue(type, payload, **options)
        self.log.told(call, {token: job.outcome}, ids={token: job.id})
        if way == "keyed":
            self.put_again(type, job.id, options)

    def put_again(self, type: str, id: str, options: dict[str, Any]) -> None:
        """The same key finds the job that has it, unless that was purged meanwhile."""
        payload = self.payload()
        token = payload["token"]
        call = self.log.intent("put", [token], way="keyed")
        again = self.queue.enqueue(type, payload, **options)
        assert again.outcome == "created" or again.id == id
        self.log.told(call, {token: again.outcome}, ids={token: again.id} if again.outcome == "created" else {})

    def put_many(self, type: str) -> None:
        payloads = [self.payload() for _ in range(self.random.randrange(1, 30))]
        tokens = [payload["token"] for payload in payloads]
        call = self.log.intent("put", tokens, way="many")
        jobs = self.queue.enqueue_many(type, payloads, batch=f"batch {tokens[0]}")
        self.log.told(call, dict.fromkeys(tokens, "created"), ids=dict(zip(tokens, [job.id for job in jobs], strict=True)))

    def drop(self, way: str, type: str) -> None:
        payload = self.payload()
        token = payload["token"]
        name = f"drop-{token}"
        data = json.dumps({"type": type, "payload": payload, "priority": self.random.randrange(100)}).encode()
        target = self.queue_dir / "pending" / f"{name}.json"
        source = self.folder / "outside" / name
        source.write_bytes(data)
        call = self.log.intent("put", [token], way=way)
        if way == "slow cp":
            with target.open("xb", buffering=0) as file:
                file.write(data[: len(data) // 2])
                time.sleep(SETTLE * 1.5)
                file.write(data[len(data) // 2 :])
        else:
            subprocess.run([way, source, target], check=True)
        self.log.told(call, {token: "created"}, ids={token: name})

    # -- people who say something

    def change(self, verb: str, most: int, **options: Any) -> dict[str, str]:
        """Carries out a verb; the tokens of the jobs that it changed, by id."""
        jobs = self.some(most)
        if not jobs:
            return {}
        call = self.log.intent(verb, list(jobs.values()))
        changes = getattr(self.queue.store, verb)(list(jobs), **options)
        self.log.told(call, {jobs[change.id]: change.outcome for change in changes})
        return {change.id: jobs[change.id] for change in changes if change.outcome == "changed"}

    def retrier(self) -> None:
        self.change("retry", self.random.randrange(1, 5))
        time.sleep(0.03)

    def canceller(self) -> None:
        self.change("cancel", self.random.randrange(1, 5))
        time.sleep(0.03)

    def purger(self) -> None:
        gone = self.change("purge", self.random.randrange(1, 6), pending=self.random.random() < 0.3)
        kept = {id: token for id, token in gone.items() if self.random.random() < 0.8}
        if kept:
            call = self.log.intent("restore", list(kept.values()))
            changes = self.queue.store.restore(list(kept))
            self.log.told(call, {kept[change.id]: change.outcome for change in changes})
        time.sleep(0.04)

    def ruler(self) -> None:
        """Pauses do not last: whoever is killed in one is followed by somebody who ends it."""
        self.queue.resume()
        self.queue.limit("work", concurrency=self.random.choice([None, 3, 5]))
        self.queue.limit("fails", rate=self.random.choice([None, "600/s"]))
        if self.random.random() < 0.3:
            call = self.log.intent("pause", [])
            self.queue.pause("a storm", type=self.random.choice([None, "work", "fails"]))
            self.log.told(call, {})
            time.sleep(0.1)
            for type in (None, "work", "fails"):
                self.queue.resume(type=type)
        time.sleep(0.2)

    def opener(self) -> None:
        """Somebody who opens the queue while it is used, and looks after it."""
        repair = self.random.random() < 0.5
        with Queue(self.queue_dir, config=Config(durability="relaxed", settle_time=SETTLE)) as queue:
            queue.store.rescue()
            found = [str(one) for one in queue.check(repair=repair) if one.level == "fail" or one.what not in LEGITIMATE]
        self.log.say("checked", repair=repair, found=found)
        time.sleep(0.5)

    # -- people who move and edit files

    def person(self) -> None:
        self.put_back()
        for id, token in self.some(3).items():
            self.random.choice([self.run_again, self.take_aside, self.save, self.write_in_place])(f"{id}.json", token)
        time.sleep(0.02)

    def put_back(self) -> None:
        """What somebody has taken aside, and did not live to bring back."""
        for file in sorted((self.folder / "aside").iterdir()):
            move(self.folder / "aside", file.name, self.queue_dir / "pending")

    def run_again(self, name: str, token: str) -> None:
        """`mv done/x.json pending/` is a request to run it."""
        folder = self.queue_dir / self.random.choice(["done", "failed"])
        if (folder / name).exists():
            call = self.log.intent("move", [token])
            if self.random.random() < 0.2:
                done = subprocess.run(["mv", "-n", folder / name, self.queue_dir / "pending"], check=False, capture_output=True)
                moved = done.returncode == 0
            else:
                moved = move(folder, name, self.queue_dir / "pending")
            self.log.told(call, {token: "changed" if moved else "missing"})

    def take_aside(self, name: str, token: str) -> None:
        call = self.log.intent("aside", [token])
        taken = move(self.queue_dir / "pending", name, self.folder / "aside")
        if taken:
            time.sleep(self.random.choice([0, 0.001, 0.02]))
            move(self.folder / "aside", name, self.queue_dir / "pending")
        self.log.told(call, {token: "changed" if taken else "missing"})

    def save(self, name: str, token: str) -> None:
        """An editor that puts its new file in place of the old one, in one step, and only if that is still there."""
        with suppress(FileNotFoundError):
            record = json.loads((self.queue_dir / "pending" / name).read_bytes())
            new = self.folder / "outside" / f"{self.serial}-{name}"
            new.write_text(json.dumps(record | {"priority": self.random.randrange(100)}))
            new.chmod(0o600)
            call = self.log.intent("save", [token])
            with folders(new.parent, self.queue_dir / "pending") as (here, there):
                files.swap(here, new.name, there, name)
            self.log.told(call, {token: "changed"})

    def write_in_place(self, name: str, token: str) -> None:
        """One write over the whole file, which does not get shorter: whoever reads it sees the old or the new."""
        with suppress(FileNotFoundError), (self.queue_dir / "pending" / name).open("r+b", buffering=0) as file:
            old = file.read()
            record = json.loads(old) | {"tags": [str(self.random.randrange(10))]}
            call = self.log.intent("write", [token])
            os.pwrite(file.fileno(), json.dumps(record).encode().ljust(len(old)), 0)
            self.log.told(call, {token: "changed"})


class folders:
    """Descriptors of folders, for a moment."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths

    def __enter__(self) -> list[int]:
        self.opened = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in self.paths]
        return self.opened

    def __exit__(self, *_: object) -> None:
        for opened in self.opened:
            os.close(opened)


def move(source: Path, name: str, target: Path) -> bool:
    """As `mv -n` does; False where it has gone, or the name is taken."""
    with folders(source, target) as (here, there):
        try:
            files.move(here, name, there, name)
        except (FileNotFoundError, FileExistsError):
            return False
        return True
