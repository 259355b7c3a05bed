"""What a store keeps beside the jobs: what running ones leave, and schedules. Parts of the Store protocol."""

from __future__ import annotations

import os
from collections.abc import Set
from contextlib import AbstractContextManager
from typing import Any, Protocol

from jobqueue.model.progress import Progress
from jobqueue.model.schedule import ScheduleRecord
from jobqueue.model.told import Told

LARGEST_ARTIFACTS = 4 << 30
"""What one job may keep, in bytes: all of its artifacts together."""


class Log(Protocol):
    """Where the output of one job goes while it runs. Neither method ever raises: a full disk must not end a job."""

    def write(self, data: bytes) -> None:
        """Appends; above the limit, what lies in the middle is dropped, and the log says so."""

    def close(self) -> None: ...


class Notes(Protocol):
    """What a running job leaves beside its file: progress, log, checkpoint, items, artifacts.

    None of it decides where a job is; all of it may be looked at from any process at any time. Ids are those of jobs.
    """

    address: str
    """What `open_notes` takes in another process; empty where the notes are in this process only."""

    def progress(self, id: str) -> Progress | None:
        """What the running attempt said last."""

    def set_progress(self, id: str, progress: Progress) -> None:
        """Replaces it in one step; never synced, and never raises."""

    def checkpoint(self, id: str) -> Any:
        """The state that an earlier attempt, or this one, has saved; None where there is none."""

    def set_checkpoint(self, id: str, state: Any) -> None:
        """Replaces it in one step, as durable as the store is. Raises `NotJSON`."""

    def items(self, id: str, *, untold: bool = False) -> list[dict[str, Any]]:
        """What `add_item` was given, oldest first; a torn last line is left out. With `untold` what came since `items_told`."""

    def items_told(self, id: str) -> None:
        """Notes that the items so far are in the journal."""

    def processed(self, type: str, version: str, track: str) -> Set[str]:
        """The keys of all items that the journal has of a type, a version and a track."""

    def add_item(self, id: str, item: dict[str, Any]) -> None:
        """Appends a line with one write, so that it survives the death of the process."""

    def open_log(self, id: str, heading: str = "") -> Log:
        """For appending. Nothing is made on disk before the first byte; before it goes the line `heading`."""

    def read_log(self, id: str, *, start: int = 0, last: int | None = None) -> tuple[bytes, int]:
        """The bytes from position `start` on, of them the `last` so many, and where the next look should start.

        Positions count all that was ever written; what was left out of a full log is skipped.
        """

    def keep_artifact(self, id: str, path: str | os.PathLike[str], name: str, room: int = ...) -> dict[str, Any]:
        """Copies a file in; what the job's file says of it: {"size": bytes, "path": where it lies, from the queue folder on}.

        Raises `InvalidJob` for a name that is not one plain file name of at most 200 bytes, for what is no regular file or
        has more bytes than there is `room`, and `OSError`.
        """

    def artifact_path(self, id: str, name: str) -> str:
        """The absolute path of a copy that was kept."""

    def ended(self, id: str, *, done: bool) -> None:
        """The attempt is over and its outcome stored: progress goes, and with `done` the checkpoint too."""

    def forget(self, id: str) -> None:
        """Removes all of it: another job has taken the id."""


class Schedules(Protocol):
    """Where schedules are kept. Each method is one step; what reads, changes and puts does so within `held`."""

    problems: dict[str, str]
    """What was left out at the last look because it cannot be a schedule, and why."""

    def all(self) -> tuple[ScheduleRecord, ...]:
        """By name; the very same tuple as before where nothing has changed, for workers ask every second."""

    def get(self, name: str) -> ScheduleRecord | None:
        """As it is now; None where there is none."""

    def put(self, record: ScheduleRecord) -> None:
        """Adds or replaces it in one step."""

    def remove(self, name: str) -> bool:
        """False where there was none."""

    def held(self, *, wait: bool = True) -> AbstractContextManager[bool]:
        """Keeps all others out of their `held`; without `wait`, False where somebody is in it."""


def left_behind(notes: Notes, id: str, attempt: int) -> Told | None:
    """What an attempt told before its process died without a word; None where it told nothing."""
    said = notes.progress(id)
    return None if said is None or said.attempt != attempt else Told(said, said.metrics)
