"""The limit of the pickup: a process that waits in bare inotify, claims what arrives, and says when it had it.

python inotify.py PENDING CLAIMED COUNT prints a JSON list of [name, CLOCK_MONOTONIC in ns], after a line `ready`.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
import time

IN_MOVED_TO = 0x80
HEADER = struct.Struct("iIII")


def names_in(events: bytes) -> list[str]:
    names, at = [], 0
    while at < len(events):
        length = HEADER.unpack_from(events, at)[3]
        at += HEADER.size
        names.append(events[at : at + length].rstrip(b"\0").decode())
        at += length
    return names


def watch(pending: str, claimed: str, count: int) -> list[tuple[str, int]]:
    libc = ctypes.CDLL(None, use_errno=True)
    events = libc.inotify_init1(os.O_CLOEXEC)
    if events < 0 or libc.inotify_add_watch(events, os.fsencode(pending), IN_MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    source, target = os.open(pending, os.O_RDONLY), os.open(claimed, os.O_RDONLY)
    print("ready", flush=True)
    seen: list[tuple[str, int]] = []
    while len(seen) < count:
        for name in names_in(os.read(events, 1 << 16)):
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
            file = os.open(name, os.O_RDONLY, dir_fd=target)
            os.read(file, 1 << 16)
            os.close(file)
            seen.append((name, time.monotonic_ns()))
    return seen


if __name__ == "__main__":
    print(json.dumps(watch(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
