"""Makes the k-th system call on the disk fail, whichever it is: at the calls themselves, not only at the named steps."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jobqueue.store import files

CHANGING = ("open", "write", "pwrite", "ftruncate", "fsync", "mkdir", "replace")
"""What a disk or a kernel refuses; unlink and rmdir free something and are left alone, as are reads."""
KINDS = {"fsync": (errno.EIO, errno.ENOSPC, errno.EDQUOT), "syncfs": (errno.EIO, errno.ENOSPC, errno.EDQUOT)}


class Faults:
    """Counts the calls; the one with this number fails, and `more` of those after it (`every` one: the disk stays broken)."""

    def __init__(self, at: int, number: int, more: int = 0, every: bool = False) -> None:
        self.left = at
        self.number = number
        self.last = -2 - more
        self.every = every
        self.hit = ""

    def due(self, name: str) -> bool:
        if self.number not in KINDS.get(name, (self.number,)) or (self.number == errno.EMFILE and name != "open"):
            return False
        self.left -= 1
        if self.left == -1:
            self.hit = name
        return self.left < 0 and (self.every or self.left > self.last)

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            if self.due(name):
                raise OSError(self.number, os.strerror(self.number))
            return call(*arguments, **options)

        return called

    def wrap_c(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if self.due(name):
                ctypes.set_errno(self.number)
                return -1
            return call(*arguments)

        return called


@contextmanager
def failing(at: int, number: int, *, more: int = 0, every: bool = False) -> Iterator[Faults]:
    faults = Faults(at, number, more, every)
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGING:
            patch.setattr(os, name, faults.wrap(name, getattr(os, name)))
        for name in ("renameat2", "syncfs"):
            patch.setattr(files, name, faults.wrap_c(name, getattr(files, name)))
        yield faults


def open_descriptors() -> set[str]:
    return {f"{name} {target_of(name)}" for name in os.listdir("/proc/self/fd") if target_of(name)}


def target_of(name: str) -> str:
    try:
        target = os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""
    return "" if target.endswith("/fd") else target
