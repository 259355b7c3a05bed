"""What the real code does to the disk, step by step, in the words of the model; and what the model's programs do.

Both are reduced to the files that carry jobs: tmp/, the four folders, the trash, the marks, and one word for the journal.
Left out are lock files, workers' own files, claim folders made and removed, and unlinks that find nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jobqueue.model.job import Job
from jobqueue.model.transition import Run, complete, fail
from jobqueue.store import files
from jobqueue.store.base import WorkerInfo
from jobqueue.store.moving import Held, Outcome
from jobqueue.store.spool import Spool

from .model_programs import PROGRAMS, Naive
from .model_search import Process, Scene, Search

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
OWNER = "worker-1"
KINDS = ("create", "write", "sync", "sync all", "move", "swap", "sync folder", "unlink")
SHOWN = re.compile(r"(pending|done|failed|trash|cancel)(/[^/]+)?|claimed/[^/]+/[^/]+|tmp/\*")


# -- the model


def model_steps(scene: Scene, naive: Naive) -> list[str]:
    """The steps of the only process of a scene, from its start to its end."""
    assert scene.processes[0].program in PROGRAMS
    search = Search(scene._replace(cuts=1), naive)
    return [line for call, answer in solo(search, scene.processes[0], naive) if (line := step_of(call, answer))]


def solo(search: Search, process: Process, naive: Naive) -> list[tuple[tuple[Any, ...], Any]]:
    program = PROGRAMS[process.program](process.name, *process.arguments, naive)
    state = search.start._replace(processes=((), ""))
    done = []
    try:
        call = next(program)
        while True:
            state, answer = search.perform(state, 0, call)
            state = state._replace(processes=((*state.processes[0], answer), ""))
            done.append((call, answer))
            call = program.send(answer)
    except StopIteration:
        return done


def step_of(call: tuple[Any, ...], answer: Any) -> str:
    kind, *rest = call
    if kind == "note":
        return "journal" if rest[0] == "journal" else ""
    if kind not in KINDS or answer == "gone":
        return ""
    path = {"write": 2, "sync": 1}.get(kind)
    rest = rest[:2] if path is None else [rest[path]]
    return worded(kind, *(re.sub(r"^claimed/op[^/]*", "claimed/op", re.sub(r"^tmp/.*", "tmp/*", word)) for word in rest[:2]))


def worded(kind: str, *paths: str) -> str:
    return " ".join([kind, *paths]) if all(SHOWN.fullmatch(path) for path in paths) else ""


# -- the code


class Recorder:
    """A probe that writes down each step: its arguments stand in the frame of the function that takes it."""

    def __init__(self, queue: Path) -> None:
        self.queue = queue
        self.steps: list[str] = []

    def __call__(self, name: str) -> None:
        arguments = sys._getframe(2).f_locals
        if line := self.line(name, arguments):
            self.steps.append(line)

    def line(self, name: str, at: dict[str, Any]) -> str:
        if name == "journal":
            return "journal"
        if name in ("move", "swap"):
            other = at["new_name" if name == "move" else "other"]
            return worded(name, self.path(at["source"], at["name"]), self.path(at["target"], other))
        if name == "syncfs":
            return "sync all"
        if name in ("write", "fsync"):
            return worded("sync" if name == "fsync" else name, self.path(at["file"]))
        if name == "fsync folder":
            return worded("sync folder", self.path(at["folder"]))
        if name == "create" or (name == "unlink" and "folder" in at and files.exists(at["folder"], at["name"])):
            return worded(name, self.path(at["folder"], at["name"]))
        return "" if name in ("unlink", "mkdir", "rmdir") else f"unknown step {name}"

    def path(self, descriptor: int, name: str = "") -> str:
        return in_words(os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), name).rstrip("/"), self.queue)


def in_words(path: str, queue: Path) -> str:
    short = os.path.relpath(path, queue).removeprefix(".jobqueue/").removesuffix(".json")
    short = re.sub(r"^claimed/op-[^/]+", "claimed/op", re.sub(r"^tmp/.*", "tmp/*", short))
    return short.replace(f"claimed/{OWNER}", "claimed/w")


CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
AT = re.compile(r'(?:\d+|AT_FDCWD)<([^>]*)>(?:, "([^"]*)")?')


def kernel_steps(trace: str, queue: Path) -> list[str]:
    """The same from what strace saw between the two marks."""
    text = trace.split('"start', 1)[1].split('"stop', 1)[0]
    steps: list[str] = []
    for line in text.splitlines():
        if (match := CALL.match(line)) is not None and not match[3].startswith("-"):
            step = kernel_step(match[1], match[2], queue)
            if step and not (step == "journal" and steps[-1:] == ["journal"]):
                steps.append(step)
    return steps


def kernel_step(name: str, arguments: str, queue: Path) -> str:
    # What stands behind a descriptor is a name in that folder, but in a write it is the data.
    found = [(folder, "" if name == "write" else file) for folder, file in AT.findall(arguments)]
    paths = [os.path.join(folder, file) if file else folder for folder, file in found]
    words = [in_words(path, queue) for path in paths]
    if name == "openat":
        return worded("create", words[0]) if "O_EXCL" in arguments and words else ""
    if name == "write":
        return "journal" if words[0].startswith("journal/") else worded("write", words[0])
    if name == "fsync":
        return worded("sync folder" if os.path.isdir(paths[0]) else "sync", words[0])
    if name == "syncfs":
        return "sync all"
    if name == "renameat2":
        safely = "move" if "RENAME_NOREPLACE" in arguments else "move over"
        return worded("swap" if "RENAME_EXCHANGE" in arguments else safely, *words[:2])
    return worded("unlink", words[0]) if name == "unlinkat" and words and "AT_REMOVEDIR" not in arguments else ""


# -- the operations: what is there before, and what is done


def job(name: str, **fields: Any) -> Job:
    return Job(id=name, type="scan", created_at=LONG_AGO, **fields)


def join(spool: Spool) -> None:
    spool.join(WorkerInfo(owner=OWNER, host="here", pid=os.getpid(), started_at=LONG_AGO))


def put(spool: Spool) -> None:
    spool.put([job("x")])


def claim(spool: Spool) -> Any:
    (claimed,) = spool.claim(OWNER)
    return claimed


def put_and_claim(spool: Spool) -> Any:
    put(spool)
    join(spool)
    return claim(spool)


def put_and_finish(spool: Spool) -> None:
    claimed = put_and_claim(spool)
    spool.apply([(claimed, complete(claimed.job, 1, Run(OWNER, LONG_AGO, LONG_AGO)))])
    spool.leave(OWNER)


def put_and_die(spool: Spool) -> None:
    put_and_claim(spool)
    spool.locks.release(OWNER)


def record_and_die(spool: Spool) -> None:
    claimed = put_and_claim(spool)
    transition = complete(claimed.job, 1, Run(OWNER, LONG_AGO, LONG_AGO))
    outcome = Outcome(Held(*claimed.token), transition.to, transition)
    temporary = spool.scratch.write([spool.moving.body(outcome)])
    spool.moving.exchange([outcome], temporary)
    spool.scratch.discard(temporary)
    spool.locks.release(OWNER)


def record_mark_and_die(spool: Spool) -> None:
    record_and_die(spool)
    spool.moving.mark_cancel("x.json", "stop")


def put_and_join(spool: Spool) -> None:
    put(spool)
    join(spool)


def work(end: str) -> Callable[[Spool], None]:
    """One claim and its outcome."""

    def act(spool: Spool) -> None:
        claimed = claim(spool)
        run = Run(OWNER, LONG_AGO, LONG_AGO)
        if end == "done":
            transition = complete(claimed.job, 1, run)
        else:
            transition = fail(claimed.job, failure(), run, final=end == "failed")
        assert spool.apply([(claimed, transition)]) == [True]

    return act


def failure() -> Any:
    from jobqueue.model.job import Failure

    return Failure(message="no")
