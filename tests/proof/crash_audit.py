"""What must hold after every crash, and whether a job was done exactly once."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from jobqueue.model.status import FINISHED, Status
from jobqueue.store.spool import Spool

from .crash_scenes import GIVEN, Scene, done, info

BAD = b'{"type": '
ADOPTED = "adopted"
GIVEN_BACK = ("released", "snoozed")
OPEN = ("ran", "asked", "asking")
"""What is said before something is done; until its end is said too, nothing was promised."""


def places(path: Path) -> dict[str, list[Path]]:
    """Every job file of a queue, by the id in its name."""
    found: dict[str, list[Path]] = {}
    for status in Status:
        for folder, _, names in os.walk(path / status.value):
            for name in names:
                if name.endswith(".json"):
                    found.setdefault(name.removesuffix(".json"), []).append(Path(folder, name))
    return found


class Ledger:
    """The runs of handlers, each looked at when the process that ran it has ended: was its outcome durable by then?"""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.looked_at = 0
        self.ended_well: Counter[str] = Counter()
        """Runs whose end (done or failed) was on disk."""
        self.cut_off: Counter[str] = Counter()

    def copy(self, scene: Scene) -> Ledger:
        other = Ledger(scene)
        other.looked_at = self.looked_at
        other.ended_well, other.cut_off = self.ended_well.copy(), self.cut_off.copy()
        return other

    def look(self) -> None:
        """To be called after each process, before the next one begins."""
        noted = self.scene.noted()
        for word in noted[self.looked_at :]:
            what, _, rest = word.partition(":")
            if what == "ran":
                id, _, claim_folder = rest.partition("@")
                body = self.body(id)
                if body.get("written_by") != claim_folder:
                    self.cut_off[id] += 1
                elif body.get("finished_at") is not None:
                    self.ended_well[id] += 1
        self.looked_at = len(noted)

    def body(self, id: str) -> dict[str, Any]:
        found = places(self.scene.path).get(id) or [self.scene.path / ".jobqueue" / "trash" / f"{id}.json"]
        return dict(json.loads(found[0].read_bytes())) if found[0].exists() else {}

    def check(self) -> None:
        """Once, and once more for each time that a person has asked for it."""
        asked = {word.partition(":")[2] for word in self.scene.noted() if word.startswith("asked:")}
        for id, times in self.ended_well.items():
            assert times <= 1 + (id in asked), f"{id} was run to its end {times} times"


def audit(scene: Scene, operation: str) -> Spool:
    """After the last crash: every job exactly once, whole, and where it was said to be."""
    spool = scene.open()
    spool.rescue()
    assert os.listdir(scene.path / "claimed") == []
    assert os.listdir(scene.path / ".jobqueue" / "workers") == [], "a dead worker is known for ever"
    found = places(scene.path)
    assert all(len(paths) == 1 for paths in found.values()), found
    trash = set(os.listdir(scene.path / ".jobqueue" / "trash"))
    for id in GIVEN[operation]:
        assert (id in found) != (f"{id}.json" in trash), f"{id} is lost, or in two places"
    for id, (path,) in found.items():
        check_file(spool, id, path)
    left = [
        name
        for name in os.listdir(scene.path / ".jobqueue" / "cancel")
        if spool.get(name.removesuffix(".json")).status in FINISHED
    ]
    assert not left, "a mark is left, and the next retry would be undone by it"
    check_acknowledged(scene, spool, trash)
    check_journal(scene, spool)
    return spool


def check_file(spool: Spool, id: str, path: Path) -> None:
    if id == "bad":
        assert path.read_bytes() == BAD
        return
    located = spool.get(id)
    assert located.job.payload == {"name": located.job.payload["name"], "filler": "x" * 100}, "torn"
    assert located.job.finished == (located.status in (Status.DONE, Status.FAILED))


def check_acknowledged(scene: Scene, spool: Spool, trash: set[str]) -> None:
    """The last word on each job holds, unless somebody has begun something with it since."""
    last = {id: word for word, _, id in (noted.partition(":") for noted in scene.noted())}
    for id, word in last.items():
        if word == "trash":
            assert f"{id}.json" in trash
        elif word not in OPEN:
            assert spool.get(id).status == word, f"{id} was acknowledged as {word}"


def check_journal(scene: Scene, spool: Spool) -> None:
    """Each attempt that has ended is there, and once."""
    lines = Counter((attempt.job, attempt.number, attempt.outcome) for attempt in spool.attempts())
    for line, times in lines.items():
        most = 1 + (f"asked:{line[0]}" in scene.noted())
        assert line[2] in GIVEN_BACK or times <= most, f"{line} stands {times} times in the journal"
    written = {line[0] for line in lines}
    for located in spool.scan(statuses=FINISHED, limit=None).items:
        if located.reason is None and located.job.attempts > 0 and located.job.id != ADOPTED:
            assert located.job.id in written, "a finished attempt is missing in the journal"


def work_off(scene: Scene, spool: Spool, ledger: Ledger) -> None:
    """What is left is run to its end: all of it can be, and what is done was run for it."""
    owner = spool.join(info())
    while spool.counts()[Status.PENDING] and scene.work(spool, done, limit=10, owner=owner):
        spool.wake()
    spool.leave(owner)
    ledger.look()
    ledger.check()
    for located in spool.scan(statuses=[Status.DONE], limit=None).items:
        if located.job.result is not None and located.job.id != ADOPTED:
            assert ledger.ended_well[located.job.id] >= 1, f"{located.job.id} is done and was never run"
