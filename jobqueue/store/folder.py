"""The queue folder itself: made, checked and held open; and where in it a job is right now."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from jobqueue.errors import QueueFolderError
from jobqueue.inert import shell_word
from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.layout import HIDDEN, STATUS_FOLDERS, SUPPORT_FOLDERS, file_name, is_job_name, is_owner_folder, job_names

ROUNDS = 4
"""How often a job that was not found is looked for again: it may have moved from a folder not yet looked at to one
that had been. Each round is a few system calls."""


class Place(NamedTuple):
    """Where a job's file is: the status, the descriptor of its folder, its name, and (claimed) the claim folder."""

    status: Status
    folder: int
    name: str
    claim_folder: str = ""


class Folder:
    """Descriptors of all the folders of a queue, opened once. Raises `QueueFolderError` saying what to do."""

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.path = Path(path).absolute()
        self.claim_folders: dict[str, files.Descriptor] = {}
        self.lock = threading.Lock()
        self.fds: dict[str, int] = {}
        self.root = -1
        try:
            self.start(create)
        except BaseException:  # a refused folder can be unmounted, or opened again and again
            self.close()
            raise

    def start(self, create: bool) -> None:
        try:
            if create:
                self.make()
            self.root = files.open_folder(str(self.path))
            self.check_private(self.root, self.path)
            for name in (*STATUS_FOLDERS, HIDDEN):
                self.fds[name] = self.open(name, self.root, create)
            for name in SUPPORT_FOLDERS:
                self.fds[name] = self.open_support(name, self.fds[HIDDEN])
        except QueueFolderError:
            raise
        except FileNotFoundError as error:
            missing = self.path / (error.filename or "")
            raise QueueFolderError(
                f"{missing}: no such folder; make the queue with: jobqueue init {shell_word(str(self.path))}"
            ) from None
        except PermissionError as error:
            raise QueueFolderError(
                f"{self.path}: {error.strerror} ({error.filename}); it must belong to you: chown or chmod it"
            ) from None
        except OSError as error:
            raise QueueFolderError(f"{self.path}: cannot be used as a queue folder: {error.strerror or error}") from None
        for name, fd in self.fds.items():
            self.check_private(fd, self.path_to(name))
        self.check_one_file_system()
        if create:
            self.check_writable()
        self.hidden = self.fds[HIDDEN]
        self.by_status = {status: self.fds[status.value] for status in Status}
        self.pending, self.claimed = self.fds["pending"], self.fds["claimed"]

    def make(self) -> None:
        if self.path.is_symlink():
            raise QueueFolderError(f"{self.path}: is a symlink; name the folder it points to ({self.path.resolve()})")
        for parent in reversed(self.path.parents):  # whatever the umask, nobody else may change what lies on the way to it
            if not parent.exists():
                parent.mkdir(mode=0o755, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)

    def open(self, name: str, parent: int, create: bool) -> int:
        if create:
            files.make_folder(name, parent)
        try:
            return files.open_folder(name, parent)
        except NotADirectoryError:
            raise QueueFolderError(f"{self.path / name}: is not a folder (a symlink is not followed); move it away") from None

    def open_support(self, name: str, parent: int) -> int:
        """One that is missing is made: an older version of this package did not know it."""
        try:
            return self.open(name, parent, create=False)
        except FileNotFoundError:
            return self.open(name, parent, create=True)

    def path_to(self, name: str) -> Path:
        return self.path / (f"{HIDDEN}/{name}" if name in SUPPORT_FOLDERS else name)

    def check_private(self, fd: int, path: Path) -> None:
        """Whoever may write in there can run jobs as us. To root every owner is welcome: root works for others."""
        seen, me = os.fstat(fd), os.geteuid()
        if seen.st_uid != me and (me != 0 or seen.st_uid != os.fstat(self.root).st_uid):
            raise QueueFolderError(
                f"{path}: belongs to user {seen.st_uid}, not to you (user {me}); use a folder of your own, or have it given to "
                f"you: chown -R {me} {shell_word(str(self.path))}"
            )
        mode = stat.S_IMODE(seen.st_mode)
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise QueueFolderError(
                f"{path}: others may write here (mode {mode:04o}), so they could run jobs as you; "
                f"do: chmod go-w {shell_word(str(path))}"
            )

    def check_one_file_system(self) -> None:
        device = os.fstat(self.root).st_dev
        for name, fd in self.fds.items():
            if os.fstat(fd).st_dev != device:
                raise QueueFolderError(
                    f"{self.path}: {name}/ lies on another file system than the rest, so a job cannot be moved there in "
                    f"one step; keep the whole queue on one file system"
                )

    def check_writable(self) -> None:
        for name in self.fds:
            if not os.access(".", os.R_OK | os.W_OK | os.X_OK, dir_fd=self.fds[name]):
                raise QueueFolderError(
                    f"{self.path_to(name)}: is read-only for you; give yourself write permission, or mount it writable"
                )

    def in_place(self) -> bool:
        """Whether the path still leads to the folder that is held open, and the names in it to those in there."""
        try:
            return os.path.samestat(os.fstat(self.root), os.stat(self.path, follow_symlinks=False)) and all(
                os.path.samestat(os.fstat(self.fds[name]), os.stat(name, dir_fd=self.root, follow_symlinks=False))
                for name in (*STATUS_FOLDERS, HIDDEN)
            )
        except OSError:
            return False

    def claim_folder(self, name: str) -> int:
        """The descriptor of one folder in claimed/; `FileNotFoundError` where it is gone."""
        fd = self.claim_folders.get(name)
        if fd is None:
            fd = files.Descriptor(files.open_folder(name, self.claimed))
            with self.lock:
                return self.claim_folders.setdefault(name, fd)
        return fd

    def make_claim_folder(self, name: str) -> int:
        files.make_folder(name, self.claimed)
        return self.claim_folder(name)

    def holds_nothing(self, name: str) -> bool:
        """Whether a claim folder is empty, or not there."""
        try:
            return not files.names(self.open_briefly(name))
        except (FileNotFoundError, NotADirectoryError):
            return True

    def drop_claim_folder(self, name: str) -> bool:
        """Removes an empty claim folder; False when something lies in it."""
        with self.lock:
            self.claim_folders.pop(name, None)
        return files.remove_folder(self.claimed, name)

    def claim_folder_names(self) -> list[str]:
        """The folders in claimed/; what else somebody put there by hand belongs to nobody, and must stop nobody."""
        with files.entries(self.claimed) as entries:
            return [entry.name for entry in entries if is_owner_folder(entry.name) and entry.is_dir(follow_symlinks=False)]

    def find(self, id: str) -> Place | None:
        """Where the job is at this moment, or None."""
        name = file_name(id)
        if name is None:
            return None
        for _ in range(ROUNDS):
            if (place := self.find_once(name)) is not None:
                return place
        return None

    def find_once(self, name: str) -> Place | None:
        # In the direction in which jobs move, so that one that moves on meanwhile is met later.
        if files.exists(self.pending, name):
            return Place(Status.PENDING, self.pending, name)
        return self.find_beyond_pending(name)

    def find_beyond_pending(self, name: str) -> Place | None:
        for claim_folder in self.claim_folder_names():
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = self.open_briefly(claim_folder)
                if files.exists(fd, name):
                    return Place(Status.CLAIMED, fd, name, claim_folder)
        for status in (Status.DONE, Status.FAILED):
            if files.exists(self.by_status[status], name):
                return Place(status, self.by_status[status], name)
        return None

    def taken(self, name: str) -> bool:
        """Whether a claimed or finished job has this name."""
        return self.find_beyond_pending(name) is not None

    def open_briefly(self, name: str) -> int:
        """A cached descriptor; one whose folder was removed meanwhile is let go."""
        fd = self.claim_folder(name)
        if os.fstat(fd).st_nlink == 0:
            with self.lock:
                if self.claim_folders.get(name) is fd:
                    del self.claim_folders[name]
            raise FileNotFoundError(name)
        return fd

    def path_of(self, place: Place) -> Path:
        """The path of a file, for people: nothing in here opens a job by its path."""
        return self.path / place.status.value / place.claim_folder / place.name

    def names(self, status: Status) -> list[str]:
        """The job files of a status, unordered; of a claimed one as `<claim folder>/<name>`."""
        if status is not Status.CLAIMED:
            return job_names(files.names(self.by_status[status]))
        found = []
        for claim_folder in self.claim_folder_names():
            with suppress(FileNotFoundError, NotADirectoryError):
                names = files.names(self.open_briefly(claim_folder))
                found += [f"{claim_folder}/{name}" for name in job_names(names)]
        return found

    def claimed_places(self) -> Iterator[Place]:
        """The job files in the claim folders at this moment."""
        for claim_folder in self.claim_folder_names():
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = self.open_briefly(claim_folder)
                yield from (Place(Status.CLAIMED, fd, name, claim_folder) for name in files.names(fd) if is_job_name(name))

    def close(self) -> None:
        self.claim_folders.clear()
        for fd in (*self.fds.values(), self.root):
            with suppress(OSError):
                os.close(fd)
