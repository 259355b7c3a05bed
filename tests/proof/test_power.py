"""A power cut at any moment: each state that the disk may be left in is built, opened again, and audited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from jobqueue.errors import QueueFolderError
from jobqueue.model.job import Failure, Job
from jobqueue.model.transition import Run, complete, fail, snooze
from jobqueue.store import check as checking
from jobqueue.store.base import WorkerInfo
from jobqueue.store.spool import Spool

from .power_disk import disk
from .power_record import Event, Recorder
from .power_states import DATA, ORDERS, SYNCS, build, state

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
PLACES = ("pending", "claimed", "done", "failed", "trash")
Places = dict[str, str]
"""Where each job is said to be, by its id."""


def job(id: str, **fields: Any) -> Job:
    return Job(id=id, type="scan", payload={"words": "x" * 50}, created_at=LONG_AGO, **fields)


class Scene:
    """A strict queue; a, b, c are pending and d, e done, all of it durable before the recording begins."""

    def __init__(self, path: Path) -> None:
        self.spool = Spool(path, settle_time=0)
        self.owner = self.join()
        self.spool.put([job("d"), job("e")], given_ids=True)
        self.work("done")
        self.spool.put([job("a"), job("b"), job("c")], given_ids=True)
        self.recorder = Recorder(path)
        self.steps: list[tuple[int, Places]] = [(0, {**dict.fromkeys("abc", "pending"), "d": "done", "e": "done"})]

    def join(self) -> str:
        return self.spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=LONG_AGO))

    def work(self, outcome: str) -> None:
        now = datetime.now(timezone.utc)
        decided = []
        for claim in self.spool.claim(self.owner, limit=2):
            run = Run(self.owner, claim.claimed_at, now)
            decided.append((claim, decide(outcome, claim.job, run, now)))
        assert all(self.spool.apply(decided))

    def do(self, operate: Callable[[Scene], object], **places: str) -> None:
        """Runs one operation; from here on these places are acknowledged."""
        operate(self)
        self.steps.append((len(self.recorder.events), {**self.steps[-1][1], **places}))


def decide(outcome: str, job: Job, run: Run, now: datetime) -> Any:
    if outcome == "done":
        return complete(job, 1, run)
    if outcome == "snoozed":
        return snooze(job, now + timedelta(hours=1), run)
    return fail(job, Failure(), run, final=outcome == "failed", delay=timedelta(0))


def enqueue(scene: Scene) -> None:
    scene.do(lambda scene: scene.spool.put([job("new")], given_ids=True), new="pending")
    scene.do(lambda scene: scene.spool.put([job("newer", idempotency_key="k")]), newer="pending")


def enqueue_many(scene: Scene) -> None:
    scene.do(lambda scene: scene.spool.put([job(f"n{n}") for n in range(6)]), **{f"n{n}": "pending" for n in range(6)})


def finish_done(scene: Scene) -> None:
    scene.do(lambda scene: scene.work("done"), a="done", b="done")


def finish_failed(scene: Scene) -> None:
    scene.do(lambda scene: scene.work("failed"), a="failed", b="failed")


def finish_again(scene: Scene) -> None:
    scene.do(lambda scene: scene.work("again"))


def cancel(scene: Scene) -> None:
    scene.do(lambda scene: scene.spool.cancel(["a", "b"]), a="failed", b="failed")


def retry(scene: Scene) -> None:
    scene.do(lambda scene: scene.spool.retry(["d", "e"]), d="pending", e="pending")


def purge(scene: Scene) -> None:
    scene.do(lambda scene: scene.spool.purge(["d", "e"]), d="trash", e="trash")


def restore(scene: Scene) -> None:
    scene.do(lambda scene: scene.spool.purge(["d"]), d="trash")
    scene.do(lambda scene: scene.spool.restore(["d"]), d="done")


def rescue(scene: Scene) -> None:
    def die_and_rescue(scene: Scene) -> None:
        scene.spool.claim(scene.owner, limit=2)
        scene.spool.locks.release(scene.owner)
        scene.spool.rescue()

    scene.do(die_and_rescue)


def life(scene: Scene) -> None:
    scene.do(lambda scene: scene.work("done"), a="done", b="done")
    scene.do(lambda scene: scene.spool.retry(["a"]), a="pending")
    scene.do(lambda scene: scene.spool.cancel(["a"]), a="failed")
    scene.do(lambda scene: scene.spool.purge(["a"]), a="trash")


SCENES = (enqueue, enqueue_many, finish_done, finish_failed, finish_again, cancel, retry, purge, restore, rescue, life)


class Audit:
    """Builds each state once for each thing that was promised in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[tuple[Any, ...]] = set()
        self.numbers = count()

    def all_cuts(self, scene: Scene, events: Sequence[Event], steps: Sequence[tuple[int, Places]], order: str) -> str:
        """The first promise that some cut breaks, or nothing."""
        for at in range(len(events) + 1):
            before = [places for end, places in steps if end <= at]
            allowed = (before[-1], *[places for end, places in steps if end > at][:1])
            for kept in ORDERS[order](events[:at]):
                for data in DATA:
                    found = state(scene.recorder.base, scene.recorder.top, events[:at], kept, data)
                    if wrong := self.look(found, allowed):
                        return f"cut before call {at}, {order}, data {data}: {wrong}"
        return ""

    def look(self, found: dict[str, bytes | None], allowed: Sequence[Places]) -> str:
        known = (frozenset(found.items()), tuple(tuple(places.items()) for places in allowed))
        if known in self.seen:
            return ""
        self.seen.add(known)
        root = self.folder / str(next(self.numbers))
        build(root, found)
        try:
            return torn(found) or reopened(root, allowed)
        finally:
            rmtree(root)


def torn(found: dict[str, bytes | None]) -> str:
    """I3: whatever has the name of a job in a status folder is a whole job."""
    for path, data in found.items():
        if path.endswith(".json") and data is not None and not (path.startswith(".jobqueue/") and "/trash/" not in path):
            try:
                assert json.loads(data)["payload"] == {"words": "x" * 50}
            except (ValueError, AssertionError, KeyError):
                return f"{path} is torn"
    return ""


def reopened(root: Path, allowed: Sequence[Places]) -> str:
    spool = Spool(root, durability="relaxed", settle_time=0)
    try:
        spool.rescue()
        failures = [str(finding) for finding in checking.check(spool) if finding.level == "fail"]
        return misplaced(places_in(root), allowed) or "; ".join(failures) or double(spool, allowed[0])
    finally:
        spool.close()


def double(spool: Spool, acknowledged: Places) -> str:
    """A key that an acknowledged job was made with still holds."""
    if "newer" in acknowledged and spool.put([job("other", idempotency_key="k")])[0].outcome != "exists":
        return "the idempotency key made a second job"
    return ""


def places_in(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for place in PLACES:
        for file in (root / (".jobqueue/trash" if place == "trash" else place)).rglob("*.json"):
            found.setdefault(file.stem, []).append(place)
    return found


def misplaced(found: dict[str, list[str]], allowed: Sequence[Places]) -> str:
    """Each job is in one place: where it was acknowledged to be, or where the operation that was cut was taking it."""
    for id in set(found) | set(allowed[0]):
        wanted = [[places[id]] if id in places else [] for places in allowed]
        if found.get(id, []) not in wanted:
            return f"{id} is in {found.get(id, [])}, not in {wanted}"
    return ""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Scene], None]], Scene]:
    monkeypatch.setattr(checking, "MOMENT", 0.0)  # nobody else is at work in these folders

    def recorded(play: Callable[[Scene], None]) -> Scene:
        scene = Scene(tmp_path / "q")
        with scene.recorder.recording():
            play(scene)
        scene.spool.close()
        return scene

    return recorded


@pytest.mark.timeout(600)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_power_cut_breaks_no_promise(
    play: Callable[[Scene], None], order: str, record: Callable[..., Scene], tmp_path: Path, record_property: Any
) -> None:
    scene = record(play)
    audit = Audit(tmp_path)
    assert audit.all_cuts(scene, scene.recorder.events, scene.steps, order) == ""
    record_property("states", len(audit.seen))
    assert len(audit.seen) > len(scene.recorder.events) // 3


def without(n: int, scene: Scene) -> tuple[list[Event], list[tuple[int, Places]]]:
    """The same calls without this sync."""
    events = scene.recorder.events[:n] + scene.recorder.events[n + 1 :]
    return events, [(end - (end > n), places) for end, places in scene.steps]


# The others: one more sync of a file tells of a disk that was shut down; a purge syncs each folder that it may have taken
# from; and a rescue that was not synced is done again by the next one.
NEEDED = {"enqueue": 6, "enqueue_many": 2, "finish_done": 3, "cancel": 3, "retry": 3, "purge": 1, "rescue": 2}


def slowly(*plays: Callable[[Scene], None]) -> list[Any]:
    """Each of these takes many seconds."""
    return [pytest.param(play, marks=pytest.mark.slow) for play in plays]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "play", [enqueue, enqueue_many, finish_done, purge, *slowly(cancel, retry, rescue)], ids=lambda play: play.__name__
)
def test_leaving_out_a_sync_breaks_a_promise(
    play: Callable[[Scene], None], record: Callable[..., Scene], tmp_path: Path
) -> None:
    scene = record(play)
    syncs = [n for n, event in enumerate(scene.recorder.events) if event.kind in SYNCS]
    needed = [n for n in syncs if Audit(tmp_path).all_cuts(scene, *without(n, scene), "by folder")]
    assert len(needed) == NEEDED[play.__name__], f"needed {needed} of {syncs}"


# -- the real thing

BUSY = """
import sys, threading
from jobqueue import Queue, Worker, handler

@handler
def scan(n):
    return {"n": n}

queue = Queue(sys.argv[1])

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

def add():
    for n in range(1_000_000):
        say("pending", queue.enqueue("scan", {"n": n}).id)
        for job in queue.enqueue_many("scan", [{"n": n}] * 6):
            say("pending", job.id)

threading.Thread(target=add, daemon=True).start()
while True:
    Worker(queue, [scan]).run(drain=True)
    for job in queue.jobs("done", limit=5):
        say("done", job.id)
        queue.retry(job.id) if hash(job.id) % 2 else queue.purge(job.id)
        say("pending" if hash(job.id) % 2 else "trash", job.id)
"""
CUTS = (60, *(pytest.param(answers, marks=pytest.mark.slow) for answers in (5, 400, 2000)))
"""After so many answers the power goes."""


@pytest.mark.parametrize("answers", CUTS)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_real_power_cut_loses_nothing_that_was_acknowledged(kind: str, answers: int, tmp_path: Path) -> None:
    with disk(tmp_path, kind) as made:
        root = made.mounted_at / "q"
        command = [sys.executable, "-W", "ignore", "-c", BUSY, str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as busy:
            assert busy.stdout is not None
            said = [busy.stdout.readline().split() for _ in range(answers)]
            made.cut()
            busy.kill()
            said += [words for line in busy.stdout if len(words := line.split()) == 2 and line.endswith("\n")]
        made.unmount()
        made.mount()
        spool = Spool(root)
        spool.rescue()
        found = places_in(root)
        assert [str(finding) for finding in checking.check(spool) if finding.level == "fail"] == []
        spool.close()
        assert len(said) >= answers
        audit_answers(said, found)
        made.unmount()


def audit_answers(said: Sequence[Sequence[str]], found: dict[str, list[str]]) -> None:
    """Each job is in one place; one that was said to be in the trash is there."""
    last = {id: place for place, id in said}
    assert all(len(places) == 1 for places in found.values())
    assert last.keys() <= found.keys(), f"{len(last.keys() - found.keys())} of {len(last)} acknowledged jobs are lost"
    for id, place in last.items():
        if place == "trash":
            assert found[id] == ["trash"], f"{id} came back"


def test_a_disk_that_becomes_read_only_is_said_and_harms_nothing(tmp_path: Path) -> None:
    with disk(tmp_path, "ext4") as made:
        root = made.mounted_at / "q"
        spool = Spool(root)
        spool.put([job("a")], given_ids=True)
        spool.close()
        made.remount("ro")
        with pytest.raises(QueueFolderError, match="[Rr]ead-only"):
            Spool(root)
        reader = Spool(root, create=False)
        assert reader.get("a").status.value == "pending"
        for refused in (
            lambda: reader.put([job("b")]),
            lambda: reader.cancel(["a"]),
            lambda: reader.purge(["a"], pending=True),
        ):
            with pytest.raises(OSError, match="[Rr]ead-only"):
                refused()
        reader.close()
        made.remount("rw")
        assert places_in(root) == {"a": ["pending"]}
        spool = Spool(root)
        assert spool.cancel(["a"])[0].outcome == "changed"
        spool.close()
