"""What everybody in a storm says of what he does: one line of JSON, appended by one write.

Before a call its intent, after it what was answered: whoever is killed in between has said too little, never too much.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HANDLERS = '''
import itertools, os, random, time
from jobqueue import JobContext, Snooze, constant, handler

LOG = os.open(os.environ["STORM_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
COUNT = itertools.count()
ALWAYS = constant("1ms", attempts=1000)

class Run:
    """Says when it starts, that it goes on, and how it ends; each line with the time, one clock for all processes."""

    def __init__(self, ctx, token):
        self.words = [token, f"{os.getpid()}-{next(COUNT)}", str(ctx.attempt), ctx.job.type, ctx.job.concurrency_key or "-"]
        self.say("start")

    def say(self, what):
        line = " ".join([what, str(time.monotonic_ns()), repr(time.time()), *self.words]) + "\\n"
        os.write(LOG, line.encode())

    def work(self, seconds, ctx=None):
        for _ in range(3):
            if ctx is not None:
                ctx.check_cancelled()
            time.sleep(seconds / 3)
            self.say("beat")

@handler(retry=ALWAYS)
def work(token, seconds, pad, ctx: JobContext):
    run = Run(ctx, token)
    run.work(seconds)
    run.say("done")
    return {"token": token}

@handler(retry=constant("1ms", attempts=2))
def fails(token, seconds, pad, ctx: JobContext):
    run = Run(ctx, token)
    run.work(seconds)
    run.say("failed")
    raise ValueError(token)

@handler(retry=ALWAYS)
def snoozes(token, seconds, pad, ctx: JobContext):
    run = Run(ctx, token)
    run.work(seconds)
    if random.random() < 0.5:
        run.say("snoozed")
        raise Snooze(0.01)
    run.say("done")
    return {"token": token}

@handler(retry=ALWAYS)
def obedient(token, seconds, pad, ctx: JobContext):
    run = Run(ctx, token)
    run.work(seconds * 5, ctx)
    run.say("done")
    return {"token": token}

@handler(retry=ALWAYS)
def limited(token, seconds, pad, ctx: JobContext):
    run = Run(ctx, token)
    run.work(seconds)
    run.say("done")
    return {"token": token}
'''
TYPES = ("work", "work", "work", "fails", "snoozes", "obedient", "limited")
AT_A_TIME = 2
"""So many jobs of the type `limited` may run at once."""


class Log:
    """One writer's end of the log that all share."""

    def __init__(self, path: Path, role: str, serial: int) -> None:
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.role = role
        self.serial = serial
        self.calls = 0

    def say(self, what: str, **details: Any) -> None:
        record = {"what": what, "at": time.monotonic_ns(), "role": self.role, "serial": self.serial, "pid": os.getpid()}
        os.write(self.file, (json.dumps(record | details) + "\n").encode())

    def intent(self, verb: str, tokens: list[str], **details: Any) -> int:
        self.calls += 1
        self.say("intent", call=self.calls, verb=verb, tokens=tokens, **details)
        return self.calls

    def told(self, call: int, answers: dict[str, str], at: int | None = None, **details: Any) -> None:
        """What was answered about each job, by its token."""
        self.say("told", call=call, answers=answers, over=at or time.monotonic_ns(), **details)


class Follower:
    """Reads what has been added since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self.ids: list[tuple[str, str]] = []

    def known(self) -> list[tuple[str, str]]:
        """Token and id of the jobs that were acknowledged so far."""
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.position += len(whole)
        for record in map(json.loads, whole.splitlines()):
            self.ids += list(record.get("ids", {}).items())
        return self.ids


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """All lines; a last one that was cut short says nothing."""
    data = path.read_bytes() if path.exists() else b""
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        yield json.loads(line)
