"""Idempotency keys: one small file for each key, locked while a job is made for it, so that two callers make one job."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime

import msgspec
from msgspec.structs import replace

from jobqueue.errors import InvalidTime
from jobqueue.model.times import parse_duration
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE

ALONE = ".alone"
TRIES = 4
A_MOMENT = 0.0003
"""Seconds between tries for a lock that somebody holds: longer than he needs it."""
KEY_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which job holds a key, and for how long. An `odd` id is not UTF-8: on disk each of its bytes is a character."""

    key: str
    id: str
    scope: str | None = None
    made_at: datetime | None = None
    odd: bool = False


def key_file_name(key: str) -> str:
    """Keys are anything; file names are their hash."""
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:40]


def holds(record: KeyRecord, state: str, now: datetime) -> bool:
    """Whether a key is still taken. `state` is that of its job: active, finished, trashed or gone."""
    if state == "active":
        return True
    if record.scope == "active":
        return False
    if record.scope in (None, "exists"):
        return state == "finished"
    try:
        until = parse_duration(record.scope, "key_scope")
    except InvalidTime:
        return state == "finished"
    return record.made_at is not None and now < record.made_at + until and state != "gone"


class Keys:
    def __init__(self, folder: int, durable: bool, ending: str = "") -> None:
        self.folder = folder
        self.durable = durable
        self.ending = ending

    def file_name(self, key: str) -> str:
        return key_file_name(key) + self.ending

    @contextmanager
    def locked(self, keys: Sequence[str]) -> Iterator[dict[str, int]]:
        """Open, locked key files by key; in one fixed order, so that two callers cannot wait for each other."""
        with ExitStack() as stack:
            opened: dict[str, int] = {}
            for key in sorted(set(keys), key=self.file_name):
                opened[key] = self.open_locked(self.file_name(key))
                stack.callback(os.close, opened[key])
            yield opened

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Nobody else is in a block of this key; its file goes with the last of them."""
        name = self.file_name(key)
        file = self.open_locked(name)
        try:
            yield
        finally:
            files.remove(self.folder, name)  # still locked: who waits for it looks whether it is there, and makes a new one
            os.close(file)

    def open_locked(self, name: str) -> int:
        """Waits for the lock. Whoever had it may have removed a file that was of no use: then a new one is made."""
        while True:
            file = os.open(name, KEY_FILE, 0o600, dir_fd=self.folder)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self.is_at(file, name):
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def try_locked(self, name: str) -> int | None:
        """The same for a moment only: None where somebody else keeps the lock for longer than a few calls take."""
        for _ in range(TRIES):
            file = os.open(name, KEY_FILE, 0o600, dir_fd=self.folder)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self.is_at(file, name):
                    return file
            except BlockingIOError:
                time.sleep(A_MOMENT)
            except BaseException:
                os.close(file)
                raise
            os.close(file)
        return None

    def is_at(self, file: int, name: str) -> bool:
        """Whether an open file is still the one that has this name."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(name, dir_fd=self.folder, follow_symlinks=False))
        except FileNotFoundError:
            return False

    def read(self, file: int) -> KeyRecord | None:
        """What the file says; a file that was never written, or torn by a power cut, says nothing."""
        try:
            record = msgspec.json.decode(os.pread(file, 1 << 16, 0), type=KeyRecord)
        except UNREADABLE:
            return None
        return replace(record, id=os.fsdecode(record.id.encode("latin-1", "replace"))) if record.odd else record

    def write(self, file: int, record: KeyRecord) -> None:
        """Written before its job is put in place: a crash in between leaves a key whose job does not exist, which is free."""
        files.step("key")
        try:
            data = msgspec.json.encode(record) + b"\n"
        except UnicodeEncodeError:
            data = msgspec.json.encode(replace(record, id=os.fsencode(record.id).decode("latin-1"), odd=True)) + b"\n"
        os.pwrite(file, data, 0)
        os.ftruncate(file, len(data))
        if self.durable:
            files.sync_file(file)

    def settle(self) -> None:
        if self.durable:
            files.sync_folder(self.folder)
