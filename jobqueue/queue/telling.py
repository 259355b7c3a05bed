"""What a handler tells while it runs: how far it is, and what it counts. Written now and then, and never by each call."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from numbers import Real
from typing import Any

from jobqueue.errors import InvalidJob
from jobqueue.model.json_value import check_json
from jobqueue.model.progress import Progress
from jobqueue.model.told import Told
from jobqueue.store.base import LARGEST_ARTIFACTS, Notes

EVERY = 0.1
"""Seconds between two writes, at least."""
SHARE = 40
"""And this many times what the last write took: a slow disk must not slow down the handler."""
LONGEST_MESSAGE = 1000
MOST_METRICS = 1000
MOST_ARTIFACTS = 1000


class Telling:
    """The progress and the metrics of one attempt.

    A call that comes too soon after a write only remembers what was said; a thread, started when there is need of it,
    writes that a moment later, so that the last word before a long silence is seen.
    """

    def __init__(self, notes: Notes, id: str, attempt: int) -> None:
        self.notes = notes
        self.id = id
        self.attempt = attempt
        self.percent = 0.0
        self.message = ""
        self.done: float | None = None
        self.total: float | None = None
        self.seconds_left: float | None = None
        self.said = False
        self.at_once = False
        self.metrics: dict[str, float] = {}
        self.scopes: list[dict[str, float]] = []
        self.artifacts: dict[str, Any] = {}
        self.lock = threading.Lock()
        self.next_write = 0.0
        self.late = False
        self.writer: threading.Thread | None = None
        self.news = threading.Event()
        self.closed = False

    # -- what is said

    def say(self, value: Any, message: str | None = None, total: Any = None, seconds_left: float | None = None) -> None:
        """`value` is in per cent, or counts up to `total`. The message stays until another is given."""
        if total is None:
            self.done = self.total = None
            self.percent = clamped(number(value, "progress"), self.percent)
        else:
            done, whole = number(value, "progress"), number(total, "total")
            self.percent = clamped(100.0 * done / whole if whole > 0 else 100.0, self.percent)
            self.done, self.total = finite(done), finite(whole)
        self.seconds_left = seconds_left
        if message is not None:
            self.message = message
        self.said = True
        self.changed()

    def count_items(self, done: int, message: str | None) -> None:
        """How many are through, where nobody knows of how many."""
        self.done, self.total, self.seconds_left = float(done), None, None
        if message is not None:
            self.message = message
        self.said = True
        self.changed()

    def count(self, name: Any, value: Any) -> None:
        amount = number(value, f"metric {name!r:.80}")
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            raise InvalidJob(f"metric: {name!r:.80} is not a name; give a text of at most 200 characters")
        check_json(name, "metric")
        with self.lock:
            total = self.metrics.get(name, 0.0) + amount
            if not math.isfinite(total):
                raise InvalidJob(f"metric {name!r}: {value!r:.80} makes no finite sum; leave it out")
            if name not in self.metrics and len(self.metrics) >= MOST_METRICS:
                raise InvalidJob(f"metric {name!r}: the attempt has {MOST_METRICS} metrics already; count fewer names")
            self.metrics[name] = total
            for scope in self.scopes:
                scope[name] = scope.get(name, 0.0) + amount
        self.changed()

    def keep(self, path: str | os.PathLike[str], name: str) -> None:
        """A copy of a file under a name, beside what this attempt has kept before."""
        others = [entry for kept, entry in self.artifacts.items() if kept != name]
        if len(others) >= MOST_ARTIFACTS:
            raise InvalidJob(f"artifact: the attempt has kept {MOST_ARTIFACTS:,} files already; make one archive of them")
        room = LARGEST_ARTIFACTS - sum(entry["size"] for entry in others)
        self.artifacts[name] = self.notes.keep_artifact(self.id, path, name, room)

    @contextmanager
    def counted(self) -> Iterator[dict[str, float]]:
        """What is counted for as long as the block lasts."""
        scope: dict[str, float] = {}
        with self.lock:
            self.scopes.append(scope)
        try:
            yield scope
        finally:
            with self.lock:
                self.scopes = [one for one in self.scopes if one is not scope]

    # -- writing it

    def changed(self) -> None:
        if self.late:
            return
        if time.monotonic() >= self.next_write:
            self.write()
        else:
            self.late = True
            if self.writer is None:
                self.writer = threading.Thread(target=self.write_late, name="jobqueue-progress", daemon=True)
                self.writer.start()
            self.news.set()

    def write(self) -> None:
        with self.lock:
            if self.closed:
                return
            self.late = False  # first: what is said from here on asks for another write
            started = time.monotonic()
            self.notes.set_progress(self.id, self.now())
            ended = time.monotonic()
            self.next_write = ended + max(EVERY, SHARE * (ended - started))

    def write_late(self) -> None:
        while not self.closed:
            self.news.wait()
            self.news.clear()
            time.sleep(max(0.0, self.next_write - time.monotonic()))
            if self.late:
                self.write()

    def now(self) -> Progress:
        return Progress(
            percent=self.percent,
            message=cleaned(self.message),
            done=self.done,
            total=self.total,
            seconds_left=self.seconds_left,
            attempt=self.attempt,
            at=datetime.now(timezone.utc),
            metrics=dict(self.metrics),
        )

    def close(self) -> Told:
        """From here on nothing is written any more; all that was told."""
        with self.lock:
            self.closed = True
        self.news.set()
        return Told(self.now() if self.said else None, dict(self.metrics), dict(self.artifacts), self.at_once)


def number(value: Any, what: str) -> float:
    """Any real number, NumPy's too, but nothing that only looks like one."""
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidJob(f"{what}: {value!r:.80} is not a number; give an int or a float")
    try:
        return float(value)
    except OverflowError:
        return math.inf if str(value)[0] != "-" else -math.inf


def clamped(percent: float, before: float) -> float:
    """0 to 100; no number (a NaN) changes nothing."""
    return before if math.isnan(percent) else min(100.0, max(0.0, percent))


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def cleaned(message: Any) -> str:
    """Text that any JSON reader takes, of a length that a panel can show."""
    return str(message)[:LONGEST_MESSAGE].encode("utf-8", "backslashreplace").decode()
