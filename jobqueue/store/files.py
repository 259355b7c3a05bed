"""The only module that creates, renames, syncs or removes files in a queue folder.

Everything works on directory descriptors and plain names, so that nothing is followed and no parent can be swapped.
`move` never overwrites: on Linux it is renameat2(RENAME_NOREPLACE), the compare-and-swap on which the protocol rests.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from jobqueue.errors import Unsupported

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
LOOK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
NO_ATIME = getattr(os, "O_NOATIME", 0)

probe: Callable[[str], None] | None = None
"""Called with the name of each step that changes the disk, before it; tests stop, fail or record there."""

libc = ctypes.CDLL(None, use_errno=True)
if sys.platform != "linux" or not hasattr(libc, "renameat2"):
    raise Unsupported("jobqueue needs Linux with glibc 2.28 or later (renameat2); other systems are not supported yet")
renameat2 = libc.renameat2
renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
syncfs = libc.syncfs
syncfs.argtypes = [ctypes.c_int]


def step(name: str) -> None:
    if probe is not None:
        probe(name)


class Descriptor(int):
    """Closed once nobody has it any more, and not before: a number that is closed while another thread works with it is soon
    the number of something else."""

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        with suppress(OSError):
            close(self)


def open_folder(path: str, parent: int | None = None) -> int:
    """A descriptor of a folder; a symlink in its place is refused by the kernel."""
    return os.open(path, FOLDER, dir_fd=parent)


def make_folder(name: str, parent: int) -> None:
    """Makes a private folder unless it is there."""
    step("mkdir")
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)


def write_new(folder: int, name: str, data: bytes, *, sync: bool = False) -> None:
    """A new private file with all of its bytes, or no file at all."""
    step("create")
    file = os.open(name, NEW, 0o600, dir_fd=folder)
    try:
        write_all(file, data)
        if sync:
            sync_file(file)
    except BaseException:
        os.close(file)
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
    os.close(file)


def write_parts(folder: int, name: str, parts: Iterable[bytes | memoryview]) -> None:
    """A new private file, part by part: for what is large and can be made again."""
    step("create")
    file = os.open(name, NEW, 0o600, dir_fd=folder)
    try:
        for part in parts:
            write_all(file, part)
    finally:
        os.close(file)


def write_all(file: int, data: bytes | memoryview) -> None:
    step("write")
    written = os.write(file, data)
    while written < len(data):
        written += os.write(file, memoryview(data)[written:])


def overwrite(folder: int, name: str, data: bytes, *, sync: bool) -> None:
    """New contents in the blocks that a file has already: for a reserve, on a disk that has no others to give."""
    step("overwrite")
    file = os.open(name, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), dir_fd=folder)
    try:
        write_all(file, data)
        os.ftruncate(file, len(data))
        if sync:
            sync_file(file)
    finally:
        os.close(file)


def shorten(folder: int, name: str, size: int) -> None:
    """Gives back the blocks behind `size`; some file systems let others have them only once that is on disk."""
    step("shorten")
    file = os.open(name, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), dir_fd=folder)
    try:
        os.ftruncate(file, size)
        os.fsync(file)
    finally:
        os.close(file)


def open_witness(folder: int, name: str) -> int | None:
    """A file that was just put in place, to be synced once more; None where somebody has moved it on already."""
    try:
        return os.open(name, LOOK, dir_fd=folder)
    except OSError:
        return None


def sync_file(file: int) -> None:
    step("fsync")
    os.fsync(file)


def sync_folder(folder: int) -> None:
    step("fsync folder")
    os.fsync(folder)


def sync_file_system(folder: int) -> None:
    """Everything written so far on the file system of this folder: one call for a whole group of files."""
    step("syncfs")
    if syncfs(folder) != 0:
        raise os_error("syncfs")


def move(source: int, name: str, target: int, new_name: str) -> None:
    """One atomic rename that never overwrites: FileNotFoundError = somebody else won, FileExistsError = name taken."""
    step("move")
    if renameat2(source, os.fsencode(name), target, os.fsencode(new_name), RENAME_NOREPLACE) != 0:
        raise os_error(name)


def is_fixed(error: OSError) -> bool:
    """Whether a file may not be moved by us, today or tomorrow: an immutable one, or one that something is mounted on."""
    return error.errno in (errno.EPERM, errno.EACCES, errno.EBUSY)


def swap(source: int, name: str, target: int, other: str) -> None:
    """Two files change places in one step; FileNotFoundError when either is gone."""
    step("swap")
    if renameat2(source, os.fsencode(name), target, os.fsencode(other), RENAME_EXCHANGE) != 0:
        raise os_error(name)


def replace(folder: int, name: str, target: int, new_name: str) -> None:
    """A rename that overwrites: for support files with one writer, never for jobs."""
    step("replace")
    os.replace(name, new_name, src_dir_fd=folder, dst_dir_fd=target)


def link(folder: int, name: str, new_name: str) -> None:
    """A second name for a file; only the self-test makes one."""
    step("link")
    os.link(name, new_name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)


def set_mode(file: int, mode: int) -> None:
    """The permissions of an open file or folder."""
    step("chmod")
    os.fchmod(file, mode)


def remove(folder: int, name: str) -> None:
    """Removes a file; one that is gone already is fine."""
    step("unlink")
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def remove_folder(parent: int, name: str) -> bool:
    """Removes an empty folder; False when something lies in it, or it is none."""
    step("rmdir")
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def open_to_look(folder: int, name: str) -> int:
    """A descriptor for reading that leaves the access time alone: setting it would cost a write for each job read."""
    try:
        return os.open(name, LOOK | NO_ATIME, dir_fd=folder)
    except PermissionError:  # only a file's owner may ask for that
        return os.open(name, LOOK, dir_fd=folder)


def open_regular(folder: int, name: str) -> int:
    """A descriptor for reading of what is a regular file, and FileNotFoundError for a pipe or a folder of this name."""
    file = os.open(name, LOOK, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(errno.ENOENT, "not a regular file", name)
    return file


@contextmanager
def entries(folder: int) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in a folder, by a descriptor of its own: a listing moves the position of its descriptor, and of two threads
    that list through the same one, each may see names twice or none at all."""
    inside = open_folder(".", folder)
    try:
        with os.scandir(inside) as found:
            yield found
    finally:
        os.close(inside)


def names_in(folder: int) -> Iterator[str]:
    """The names in a folder, one by one: for one with a million names, where a list of all takes half a second."""
    with entries(folder) as found:
        for entry in found:
            yield entry.name


def names(folder: int) -> list[str]:
    """All names in a folder, in no order; see `entries`."""
    inside = open_folder(".", folder)
    try:
        return os.listdir(inside)
    finally:
        os.close(inside)


def read_small(folder: int, name: str, limit: int = 1 << 20) -> bytes:
    """The bytes of a regular support file."""
    file = os.open(name, LOOK, dir_fd=folder)
    try:
        return os.read(file, limit)
    finally:
        os.close(file)


def exists(folder: int, name: str) -> bool:
    """Whether anything has this name: a file, a folder or a dangling link."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def os_error(name: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name)
