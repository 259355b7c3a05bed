"""What the search looks at: the scenes, and the naive variants, each with the scene in which its loss shows."""

from __future__ import annotations

from typing import NamedTuple

from .model_disk import Body
from .model_search import Process, Scene

ONE = (("a", "x"),)
W, V = "claimed/w", "claimed/v"
WAITING = (("pending/x", Body("a")),)
FINISHED = (("done/x", Body("a", attempts=1, version=1, end="done", by=W)),)
RECORDED = ((f"{W}/x", Body("a", attempts=1, version=1, end="done", by=W)),)
CLAIMED_BY_DEAD = ((f"{W}/x", Body("a")),)


def enqueuer(*jobs: tuple[str, str], name: str = "e", group: bool = False) -> Process:
    return Process(name, "enqueue", (jobs, group))


def worker(name: str, *rounds: str, owner: str = "") -> Process:
    return Process(name, "work", (owner or name, rounds))


def rescuer(name: str, *owners: str) -> Process:
    return Process(name, "rescue", (owners,))


RETRIER, PURGER = Process("t", "retry", ("x",)), Process("p", "purge", ("x",))
CANCELLER = Process("c", "cancel", ("x", 2))
ONCE_CANCELLER = Process("c", "cancel", ("x", 1))
"""Gives up where the job moves on between its mark and its look: less to search through."""


def hand(source: str, target: str) -> Process:
    return Process("hand", "by_hand", (source, target))


SCENES = {
    "two workers, one killed": Scene(
        WAITING, (worker("w", "done"), worker("v", "done"), rescuer("s", "w", "v")), ("w", "v"), 1
    ),
    "enqueued, worked, rescued, two kills": Scene((), (enqueuer(*ONE), worker("w", "done"), rescuer("s", "w")), ("w",), 2),
    "a retry is due, killed": Scene(WAITING, (worker("w", "again", "done"), rescuer("s", "w")), ("w",), 2),
    "enqueued and worked, power cut": Scene((), (enqueuer(*ONE), worker("w", "done")), ("w",), 0, 1),
    "failing, power cut": Scene(WAITING, (worker("w", "again", "failed"),), ("w",), 0, 1),
    "a group of jobs, power cut": Scene((), (enqueuer(("a", "x"), ("b", "y"), group=True),), (), 0, 1),
    "rescued, killed and cut twice": Scene(CLAIMED_BY_DEAD, (rescuer("s", "w"),), ("w",), 1, 2),
    "rolled forward, killed and cut twice": Scene(RECORDED, (rescuer("s", "w"),), ("w",), 1, 2),
    "cancelled while it runs": Scene(WAITING, (worker("w", "again"), CANCELLER), ("w"), 1),
    "cancelled while it ends": Scene(WAITING, (worker("w", "done"), CANCELLER), ("w"), 1),
    "cancelled while it ends, power cut": Scene(CLAIMED_BY_DEAD, (rescuer("s", "w"), CANCELLER), ("w"), 0, 1),
    "cancelled during a rescue": Scene(CLAIMED_BY_DEAD, (rescuer("s", "w"), CANCELLER), ("w")),
    "cancelled, power cut": Scene(WAITING, (CANCELLER,), (), 1, 1),
    "retried and purged, killed": Scene(FINISHED, (RETRIER, PURGER), (), 1),
    "retried and purged, power cut": Scene(FINISHED, (RETRIER, PURGER), (), 0, 1),
    "retried, cancelled and worked": Scene(FINISHED, (RETRIER, ONCE_CANCELLER, worker("w", "done")), ("w")),
    "purged while it ends": Scene(WAITING, (worker("w", "done"), PURGER), ("w"), 1),
    "moved away by hand": Scene(WAITING, (worker("w", "done"), hand(f"{W}/x", "failed/x")), ("w",), 1),
    "asked for again by hand": Scene(FINISHED, (hand("done/x", "pending/x"), worker("w", "done"), PURGER), ("w"), 1),
    "the same name twice": Scene(
        (), (enqueuer(("a", "x")), enqueuer(("b", "x"), name="f"), worker("w", "done", "done")), ("w",)
    ),
    "an owner's name comes again": Scene(
        CLAIMED_BY_DEAD,
        (rescuer("s", "w"), rescuer("u", "w"), worker("w2", "done", owner="w"), worker("v", "done")),
        ("w", "v"),
    ),
}
RETRIED_MEANWHILE = Scene(RECORDED, (rescuer("s", "w"), CANCELLER, RETRIER, worker("v", "again")), ("w", "v"))
LARGE = {
    "retried, cancelled twice over and worked": Scene(FINISHED, (RETRIER, CANCELLER, worker("w", "done")), ("w")),
    "two workers and a canceller, killed": Scene(
        WAITING, (worker("w", "again"), worker("v", "done"), ONCE_CANCELLER), ("w", "v"), 1
    ),
    "a worker, a canceller and a rescuer, killed": Scene(
        WAITING, (worker("w", "again"), rescuer("s", "w"), ONCE_CANCELLER), ("w",), 1
    ),
    "all three operators": Scene(FINISHED, (RETRIER, PURGER, ONCE_CANCELLER), (), 1),
    "enqueued, worked and purged, power cut": Scene((), (enqueuer(*ONE), worker("w", "done"), PURGER), ("w"), 1, 1),
}


class Variant(NamedTuple):
    """A rule that is left out, the invariant that breaks, and where."""

    rule: str
    invariant: str
    scene: Scene


VARIANTS = {
    "write straight into pending/": Variant("temporary file", "I3", Scene((), (enqueuer(*ONE),), ())),
    "temporary file and rename, no fsync": Variant("sync file, sync folder", "I2", SCENES["enqueued and worked, power cut"]),
    "no fsync of the folder": Variant("sync folder", "I2", SCENES["enqueued and worked, power cut"]),
    "no fsync of the file": Variant("sync file", "I3", SCENES["enqueued and worked, power cut"]),
    "no fsync of the files of a group": Variant("sync file", "I3", SCENES["a group of jobs, power cut"]),
    "claim by copy and unlink": Variant("claim by rename", "I1", Scene(WAITING, (worker("w", "done"),), ("w",))),
    "publish in done/, then unlink": Variant("publish by rename", "I6", SCENES["a retry is due, killed"]),
    "plain rename, the same name twice": Variant("no overwrite", "I1", SCENES["the same name twice"]),
    "rescue after a timeout": Variant("owner is dead", "I4", SCENES["two workers, one killed"]),
    "the lock is released before acting": Variant("lock while acting", "I4", SCENES["an owner's name comes again"]),
    "finish by rename over the claimed file": Variant("exchange", "I1", SCENES["moved away by hand"]),
    "attempts + 1 written at claim, no fsync": Variant("no rewrite at claim", "I3", SCENES["enqueued and worked, power cut"]),
    "rescue ignores a recorded outcome": Variant("outcome counts", "I6", Scene(WAITING, (worker("w", "done"),), ("w",), 1)),
    "move to done/ first, body afterwards": Variant("body first", "I8", SCENES["purged while it ends"]),
    "one claim folder for each worker": Variant("two folders", "I6", SCENES["a retry is due, killed"]),
    "finished, no fsync of the folder": Variant("sync folder", "I8", Scene(WAITING, (worker("w", "done"),), ("w",), 0, 1)),
    "cancelled, no fsync of the folder": Variant("sync folder", "I8", SCENES["cancelled, power cut"]),
    "purged, no fsync of the folder": Variant("sync folder", "I8", SCENES["retried and purged, power cut"]),
    "whoever marks does not look whether the mark is still there": Variant("look at the mark", "I7", RETRIED_MEANWHILE),
    "the mark is taken away once the job has moved": Variant("unmark before", "I8", SCENES["cancelled while it ends"]),
    "whoever marks does not look at the end": Variant("look at the end", "I8", SCENES["cancelled while it ends"]),
    "unmarked, no fsync of the folder": Variant("unmark durably", "I8", SCENES["cancelled while it ends, power cut"]),
    "a rescue takes away a fresh mark": Variant("mark stays", "I7", SCENES["cancelled during a rescue"]),
}
