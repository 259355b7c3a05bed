"""What running jobs leave beside their files: progress, checkpoint, items, log, artifacts; one file (or folder) a job.

    progress/<id>.json     what the running attempt said last; goes with the attempt
    checkpoints/<id>.json  the state that it saved; goes when the job is done
    items/<id>.rows        what `ctx.track` has done: one JSON object a line
    logs/<id>.log          what it printed and logged
    artifacts/<id>/<name>  copies of the files that it kept

Several processes look at them while one writes. None of it is the truth about where a job is.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Set
from contextlib import suppress
from typing import Any

import msgspec

from jobqueue.errors import InvalidJob
from jobqueue.model.json_value import check_json
from jobqueue.model.progress import Progress
from jobqueue.store import files
from jobqueue.store.base import LARGEST_ARTIFACTS
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.commit import Scratch
from jobqueue.store.folder import Folder
from jobqueue.store.journal import Journal
from jobqueue.store.layout import HIDDEN, LONGEST_NAME, file_name, note_name, os_bytes
from jobqueue.store.logfile import FileLog, read_log
from jobqueue.store.processed import Processed

MAX_LOG_SIZE = 1 << 20
LONGEST_ARTIFACT_NAME = 200
LARGEST_CHECKPOINT = 16 << 20
COPY_AT_ONCE = 1 << 20
encode = msgspec.json.Encoder().encode
ENDINGS = {"progress": ".json", "checkpoints": ".json", "items": ".rows", "logs": ".log", "artifacts": ""}
LINE_FEED = b"\n"
TOLD: dict[str, Any] = {"in_journal": True}
"""A line among the items of a job: those before it are in the journal."""


class FileNotes:
    """The notes in a queue folder. `max_log_size` is in bytes; checkpoints are synced where `durable`."""

    def __init__(self, folder: Folder, *, durable: bool = True, max_log_size: int = MAX_LOG_SIZE) -> None:
        self.folder = folder
        self.fds = folder.fds
        self.durable = durable
        self.max_log_size = max_log_size
        self.passing = Scratch(self.fds["tmp"], durable=False)
        self.lasting = Scratch(self.fds["tmp"], durable)
        self.done_items = Processed(self.fds["processed"], Journal(self.fds["journal"]))
        self.address = json.dumps([str(folder.path), durable, max_log_size])

    # -- progress

    def progress(self, id: str) -> Progress | None:
        try:
            return msgspec.json.decode(files.read_small(self.fds["progress"], name_of(id)), type=Progress)
        except (OSError, *UNREADABLE):
            return None

    def set_progress(self, id: str, progress: Progress) -> None:
        with suppress(OSError):  # a full disk: the next one may get through, and the last one comes with the result
            (temporary,) = self.passing.write([encode(progress)])
            try:
                self.put_in_place(temporary, self.fds["progress"], name_of(id))
            finally:
                self.passing.discard([temporary])

    def put_in_place(self, temporary: str, folder: int, name: str) -> None:
        """By an exchange: at a rename that overwrites, ext4 starts to write the file to disk, which takes 20 times longer."""
        try:
            files.swap(self.passing.folder, temporary, folder, name)
        except FileNotFoundError:
            files.move(self.passing.folder, temporary, folder, name)

    # -- checkpoint

    def checkpoint(self, id: str) -> Any:
        try:
            return json.loads(read_whole(self.fds["checkpoints"], name_of(id)))
        except (OSError, ValueError):
            return None

    def set_checkpoint(self, id: str, state: Any) -> None:
        self.lasting.replace(self.fds["checkpoints"], name_of(id), encode_checkpoint(state))

    # -- items

    def items(self, id: str, *, untold: bool = False) -> list[dict[str, Any]]:
        try:
            lines = read_whole(self.fds["items"], note_name(name_of(id), ".rows")).split(LINE_FEED)
        except OSError:
            return []
        found = []
        for line in lines:
            with suppress(*UNREADABLE):
                found.append(msgspec.json.decode(line, type=dict[str, Any]))
        return untold_items(found) if untold else [row for row in found if row != TOLD]

    def items_told(self, id: str) -> None:
        self.add_item(id, TOLD)

    def processed(self, type: str, version: str, track: str) -> Set[str]:
        return self.done_items.keys(type, version, track)

    def add_item(self, id: str, item: dict[str, Any]) -> None:
        with suppress(OSError):  # a full disk: an item whose line is lost is done again by the next attempt
            file = os.open(note_name(name_of(id), ".rows"), files.APPEND, 0o600, dir_fd=self.fds["items"])
            try:
                os.write(file, LINE_FEED + encode(item))  # the line end comes first: it ends a line that was torn
            finally:
                os.close(file)

    # -- log

    def open_log(self, id: str, heading: str = "") -> FileLog:
        return FileLog(self.fds["logs"], note_name(name_of(id), ".log"), self.passing, self.max_log_size, heading)

    def read_log(self, id: str, *, start: int = 0, last: int | None = None) -> tuple[bytes, int]:
        return read_log(self.fds["logs"], note_name(name_of(id), ".log"), start, last)

    # -- artifacts

    def keep_artifact(self, id: str, path: str | os.PathLike[str], name: str, room: int = LARGEST_ARTIFACTS) -> dict[str, Any]:
        check_artifact_name(name)
        check_artifact(path, room)
        files.make_folder(stem_of(id), self.fds["artifacts"])
        folder = files.open_folder(stem_of(id), self.fds["artifacts"])
        temporary = self.passing.new_name()
        try:
            size = copy(path, self.fds["tmp"], temporary, room, sync=self.durable)
            files.replace(self.fds["tmp"], temporary, folder, name)
            self.lasting.settle([folder])
        finally:
            os.close(folder)
            self.passing.discard([temporary])
        return {"size": size, "path": os.path.join(HIDDEN, "artifacts", stem_of(id), name)}

    def artifact_path(self, id: str, name: str) -> str:
        check_artifact_name(name)
        return str(self.folder.path / HIDDEN / "artifacts" / stem_of(id) / name)

    # -- the end

    def ended(self, id: str, *, done: bool) -> None:
        with suppress(OSError):
            files.remove(self.fds["progress"], name_of(id))
            if done:
                files.remove(self.fds["checkpoints"], name_of(id))

    def forget(self, id: str) -> None:
        for folder, ending in ENDINGS.items():
            name = note_name(name_of(id), ending)
            with suppress(OSError):
                if not files.exists(self.fds[folder], name):
                    continue
                if ending:
                    files.remove(self.fds[folder], name)
                else:
                    self.forget_artifacts(name)

    def ids(self) -> Iterator[str]:
        """All jobs that have notes, whether they exist or not; one with several of them comes several times."""
        for folder, ending in ENDINGS.items():
            for name in files.names_in(self.fds[folder]):
                yield name.removesuffix(ending)

    def last_change(self, id: str) -> float:
        """When the latest of its notes was made or moved here; seconds since 1970, by a clock that nobody can set back."""
        moments = [0.0]
        for folder, ending in ENDINGS.items():
            with suppress(OSError):
                name = note_name(name_of(id), ending)
                moments.append(os.stat(name, dir_fd=self.fds[folder], follow_symlinks=False).st_ctime)
        return max(moments)

    def forget_artifacts(self, stem: str) -> None:
        with suppress(FileNotFoundError):
            folder = files.open_folder(stem, self.fds["artifacts"])
            try:
                for name in files.names(folder):
                    files.remove(folder, name)
            finally:
                os.close(folder)
            files.remove_folder(self.fds["artifacts"], stem)


def untold_items(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those behind the last mark."""
    marks = [number for number, row in enumerate(rows, 1) if row == TOLD]
    return rows[marks[-1] if marks else 0 :]


def open_notes(address: str) -> FileNotes:
    """The notes of a queue folder, in another process than the one that has given their `address`."""
    path, durable, max_log_size = json.loads(address)
    return FileNotes(Folder(path, create=False), durable=durable, max_log_size=max_log_size)


def name_of(id: str) -> str:
    """The name of the job's file: an id that no file can have has no notes."""
    name = file_name(id)
    if name is None:
        raise InvalidJob(f"id: {id!r:.80} cannot be the name of a file")
    return name


def stem_of(id: str) -> str:
    return note_name(name_of(id), "")


def check_artifact_name(name: str) -> None:
    """One plain name: it becomes a path."""
    if not isinstance(name, str) or not name or "/" in name or "\0" in name or name[0] == ".":
        raise InvalidJob(f"artifact: {name!r:.80} is not a plain file name; give one without '/' and without a leading dot")
    if not is_text(name):
        raise InvalidJob(f"artifact: {name!r:.80} is not UTF-8, and no JSON can hold it; give another name")
    if len(os_bytes(name)) > min(LONGEST_ARTIFACT_NAME, LONGEST_NAME):
        raise InvalidJob(f"artifact: {name!r:.80} is longer than {LONGEST_ARTIFACT_NAME} bytes; give a shorter name")


def is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def check_artifact(path: str | os.PathLike[str], room: int) -> None:
    """Whether it can be copied: a device or a pipe has no end, and `room` is what the job may still keep, in bytes."""
    if os.path.isdir(path):
        raise InvalidJob(f"artifact: {os.fspath(path)} is a folder; make one file of it, with shutil.make_archive for instance")
    seen = os.stat(path)
    if not stat.S_ISREG(seen.st_mode):
        raise InvalidJob(f"artifact: {os.fspath(path)} is no regular file; write what is in it to one")
    if seen.st_size > room:
        raise too_large(path)


def too_large(path: str | os.PathLike[str]) -> InvalidJob:
    return InvalidJob(
        f"artifact: with {os.fspath(path)} the job would keep more than {LARGEST_ARTIFACTS:,} bytes; leave it where it is and "
        "return its path"
    )


def encode_checkpoint(state: Any) -> bytes:
    check_json(state, "state")
    data = encode(state)
    if len(data) > LARGEST_CHECKPOINT:
        raise InvalidJob(
            f"state: {len(data):,} bytes, above the limit of {LARGEST_CHECKPOINT:,} for a checkpoint; save the path of a file"
        )
    return data


def copy(path: str | os.PathLike[str], folder: int, name: str, room: int, *, sync: bool) -> int:
    """A copy of a file as a new, private one; returns its size in bytes."""
    with open(path, "rb") as source:
        files.write_new(folder, name, b"")
        target = os.open(name, files.APPEND, dir_fd=folder)
        try:
            size = 0
            while block := source.read(COPY_AT_ONCE):
                size += len(block)
                if size > room:  # it grows while it is read
                    raise too_large(path)
                files.write_all(target, block)
            if sync:
                files.sync_file(target)
        finally:
            os.close(target)
    return size


def read_whole(folder: int, name: str) -> bytes:
    with os.fdopen(os.open(name, files.LOOK, dir_fd=folder), "rb") as stream:
        return stream.read()
