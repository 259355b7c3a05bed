"""The notes of a queue without a folder: gone with the process, like its jobs."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections import defaultdict
from collections.abc import Set
from typing import Any

import msgspec

from jobqueue.model.entry import ItemEntry
from jobqueue.model.progress import Progress
from jobqueue.store.base import LARGEST_ARTIFACTS
from jobqueue.store.logfile import leave_out, section
from jobqueue.store.memory_journal import MemoryJournal
from jobqueue.store.notes import MAX_LOG_SIZE, TOLD, check_artifact, check_artifact_name, encode_checkpoint, untold_items


class MemoryLog:
    def __init__(self, notes: MemoryNotes, id: str, heading: str) -> None:
        self.notes = notes
        self.id = id
        self.heading = heading

    def write(self, data: bytes) -> None:
        with self.notes.lock:
            known = self.notes.logs.get(self.id, b"")
            if self.heading:
                torn = b"\n" if known and not known.endswith(b"\n") else b""
                data = torn + self.heading.encode("utf-8", "backslashreplace") + b"\n" + data
                self.heading = ""
            written = known + data
            if len(written) > MAX_LOG_SIZE:
                written = leave_out(written, MAX_LOG_SIZE // 4, MAX_LOG_SIZE * 3 // 8)
            self.notes.logs[self.id] = written

    def close(self) -> None:
        """Nothing is held open."""


class MemoryNotes:
    """What goes in is copied, as if a disk lay between; artifacts are copied to a folder that ends with the process."""

    address = ""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.lock = threading.Lock()
        self.journal = journal or MemoryJournal()
        self.said: dict[str, Progress] = {}
        self.checkpoints: dict[str, bytes] = {}
        self.rows: defaultdict[str, list[bytes]] = defaultdict(list)
        self.logs: dict[str, bytes] = {}
        self.artifacts = ""

    def progress(self, id: str) -> Progress | None:
        return self.said.get(id)

    def set_progress(self, id: str, progress: Progress) -> None:
        self.said[id] = progress

    def checkpoint(self, id: str) -> Any:
        state = self.checkpoints.get(id)
        return None if state is None else msgspec.json.decode(state)

    def set_checkpoint(self, id: str, state: Any) -> None:
        self.checkpoints[id] = encode_checkpoint(state)

    def items(self, id: str, *, untold: bool = False) -> list[dict[str, Any]]:
        found = [msgspec.json.decode(row) for row in self.rows.get(id, ())]
        return untold_items(found) if untold else [row for row in found if row != TOLD]

    def items_told(self, id: str) -> None:
        self.add_item(id, TOLD)

    def processed(self, type: str, version: str, track: str) -> Set[str]:
        entries = (entry for entry in self.journal.entries[:] if isinstance(entry, ItemEntry))
        return {entry.key for entry in entries if (entry.type, entry.version, entry.track) == (type, version, track)}

    def add_item(self, id: str, item: dict[str, Any]) -> None:
        self.rows[id].append(msgspec.json.encode(item))

    def open_log(self, id: str, heading: str = "") -> MemoryLog:
        return MemoryLog(self, id, heading)

    def read_log(self, id: str, *, start: int = 0, last: int | None = None) -> tuple[bytes, int]:
        return section(self.logs.get(id, b""), start, last)

    def keep_artifact(self, id: str, path: str | os.PathLike[str], name: str, room: int = LARGEST_ARTIFACTS) -> dict[str, Any]:
        check_artifact(path, room)
        target = self.artifact_path(id, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(path, target)
        return {"size": os.path.getsize(target), "path": target}

    def artifact_path(self, id: str, name: str) -> str:
        check_artifact_name(name)
        if not self.artifacts:
            self.artifacts = tempfile.mkdtemp(prefix="jobqueue-")
            weakref.finalize(self, shutil.rmtree, self.artifacts, True)
        return os.path.join(self.artifacts, id.encode("utf-8", "backslashreplace").hex(), name)

    def ended(self, id: str, *, done: bool) -> None:
        self.said.pop(id, None)
        if done:
            self.checkpoints.pop(id, None)

    def forget(self, id: str) -> None:
        self.ended(id, done=True)
        self.rows.pop(id, None)
        self.logs.pop(id, None)
