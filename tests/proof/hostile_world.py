"""A queue full of hostile files: drops them, lets a worker run, and says of every single file what became of it."""

from __future__ import annotations

import json
import os
import random
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from jobqueue.errors import UnreadableJob
from jobqueue.inert import inert
from jobqueue.model.request import read_record
from jobqueue.store.codec import decode
from jobqueue.store.layout import reason_name

from . import hostile_oracle
from .hostile_drop import Drop
from .hostile_kinds import drops

SOON = datetime.now(timezone.utc) + timedelta(hours=1)
STATUSES = ("pending", "claimed", "done", "failed")


class Seen(NamedTuple):
    """A file as it was dropped: if these are the same, nobody has written to it."""

    inode: int
    mode: int
    size: int
    mtime: int
    holds: bytes
    """Its bytes, where they are few, or what a link points to."""


def see(path: Path) -> Seen:
    found = path.lstat()
    holds = b""
    if stat.S_ISLNK(found.st_mode):
        holds = os.fsencode(os.readlink(path))
    elif stat.S_ISREG(found.st_mode) and found.st_size <= 4 << 20 and found.st_mode & 0o400:
        holds = path.read_bytes()
    return Seen(found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, holds)


class World:
    def __init__(self, queue_dir: Path, seed: int, count: int) -> None:
        self.path = queue_dir
        self.seed = seed
        self.drops = drops(random.Random(seed), count)
        self.seen: dict[str, Seen] = {}
        self.ended: dict[str, tuple[str, str]] = {}
        """To which end each came, and under which name."""
        self.known_to_wait: dict[str, bool] = {}

    def drop_all(self) -> Iterator[Drop]:
        for drop in self.drops:
            self.seen[drop.name] = drop.place(self.path, see)
            yield drop

    def close(self) -> None:
        for drop in self.drops:
            if drop.undo is not None and drop.name in self.seen:
                drop.undo(self.path / "pending" / drop.name)

    def moving(self) -> list[Drop]:
        """Those that have not come to rest yet."""
        left = set(os.listdir(self.path / "pending"))
        return [drop for drop in self.drops if drop.name in left and self.must_move(drop)]

    def must_move(self, drop: Drop) -> bool:
        if drop.fate in ("left", "ignored"):
            return False
        return not (drop.fate in ("job", "any") and self.waits(drop))

    def waits(self, drop: Drop) -> bool:
        """Whether it is a job that is not due, in its own words."""
        if drop.name not in self.known_to_wait:
            self.known_to_wait[drop.name] = self.is_not_due(drop)
        return self.known_to_wait[drop.name]

    def is_not_due(self, drop: Drop) -> bool:
        job = job_in(drop.name, self.seen[drop.name].holds)
        return job is not None and not job.finished and job.run_after is not None and job.run_after > SOON

    def until_at_rest(self, step: Callable[[], object], seconds: float = 300.0) -> None:
        deadline = time.monotonic() + seconds
        while moving := self.moving():
            assert time.monotonic() < deadline, f"HOSTILE_SEED={self.seed}: still in pending/: {moving[:5]}"
            step()

    # -- the audit

    def audit(self) -> Counter[tuple[str, str]]:
        """How many of each row came to which end. Fails, naming the seed, on the first that came to a wrong one."""
        ends: Counter[tuple[str, str]] = Counter()
        by_inode = self.all_files()
        for drop in self.drops:
            try:
                end = self.end_of(drop, by_inode)
                assert end == drop.fate or drop.fate in ("job", "any"), f"it is {end}"
            except Exception as error:
                raise AssertionError(f"HOSTILE_SEED={self.seed}: {drop.row}: {drop.name!r:.100}: {error}") from error
            ends[(drop.row, end)] += 1
            self.ended[drop.name] = (end, by_inode.get(self.seen[drop.name].inode, ("", drop.name))[1])
        assert os.listdir(self.path / "claimed") == [], "something is still claimed"
        assert not os.path.lexists(self.path / "pwned")
        return ends

    def all_files(self) -> dict[int, tuple[str, str]]:
        """Folder and name of each entry, by its inode."""
        return {entry.inode(): (status, entry.name) for status in STATUSES for entry in os.scandir(self.path / status)}

    def end_of(self, drop: Drop, by_inode: dict[int, tuple[str, str]]) -> str:
        status, name = by_inode.get(self.seen[drop.name].inode, ("", ""))
        if drop.fix is not None and status == "pending":
            return self.end_in_pending(drop, name)
        if not status or see(self.path / status / name) != self.seen[drop.name]:
            return self.end_of_job(drop)  # gone, and its inode may be that of another file by now
        assert status in ("pending", "failed"), f"it is in {status}/ as it came"
        return self.end_in_pending(drop, name) if status == "pending" else self.end_aside(drop, name)

    def end_in_pending(self, drop: Drop, name: str) -> str:
        assert name == drop.name
        if drop.fate in ("job", "any"):
            assert self.waits(drop), "it is still pending"
            return "waits"
        return drop.fate if drop.fate in ("left", "ignored") else "pending"

    def end_aside(self, drop: Drop, name: str) -> str:
        first = (self.path / "failed" / reason_name(name)).read_bytes().split(b"\n")[0].decode()
        assert 4 < len(first) < 700, f"a reason like {first!r:.80}"
        assert first.isprintable()
        assert drop.fate != "job", "a job was set aside"
        return "aside"

    def end_of_job(self, drop: Drop) -> str:
        """The file was read as a job, and written again with its outcome: under its own name, or the next like it."""
        data = self.seen[drop.name].holds
        assert self.is_document(data), "what no strict reader takes is gone from where it was dropped"
        found = [place for name in self.copies(drop.name) for place in self.places(name) if self.is_outcome(place, drop)]
        assert len(found) == 1, f"it is in {[str(place) for place in found]}"
        record = json.loads(found[0].read_bytes())
        if found[0].parent.name == "done":
            assert record["type"] == "scan"
            assert drop.payload is None or record["payload"] == drop.payload, "its payload is another"
            assert record["attempts"] == 1 or drop.fate == "any"
            return "runs" if drop.fate == "runs" else "ran"
        return str(record["error"]["reason"])

    def is_document(self, data: bytes) -> bool:
        try:
            hostile_oracle.read(data)
        except hostile_oracle.Refused:
            return False
        return True

    def copies(self, name: str) -> list[str]:
        return [name, name[:-5] + "~1.json"]

    def places(self, name: str) -> list[Path]:
        if len(os.fsencode(name)) > 255:
            return []
        return [path for status in ("done", "failed") if (path := self.path / status / name).is_file()]

    def is_outcome(self, path: Path, drop: Drop) -> bool:
        record = answer(lambda: json.loads(path.read_bytes()))
        return isinstance(record, dict) and record.get("type") != "old" and "finished_at" in record


def answer(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ValueError:
        return None


def job_in(name: str, data: bytes) -> Any:
    try:
        return read_record(name.removesuffix(".json"), decode(data))
    except UnreadableJob:
        return None


def check_log(lines: list[str], world: World) -> None:
    """Each file that is set aside, or left, is told of in exactly one line, and nothing in a name ends a line."""
    assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()][:3]
    assert max(map(len, lines)) < 3000
    aside = Counter(line.split(": ")[0] for line in lines if line.startswith("set aside "))
    left = Counter(line.split(".json ")[0] + ".json" for line in lines if line.startswith("pending/"))
    expected_aside = Counter(f"set aside {inert(name)}" for end, name in world.ended.values() if end == "aside")
    expected_left = Counter(f"pending/{inert(name)}" for end, name in world.ended.values() if end == "left")
    assert aside == expected_aside, f"HOSTILE_SEED={world.seed}: {aside - expected_aside} {expected_aside - aside}"
    assert left == expected_left, f"HOSTILE_SEED={world.seed}: {left - expected_left} {expected_left - left}"
