"""A small journaled file system on a loop device, whose power can be cut: the kernel's own shutdown call."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are the same number."""
WITHOUT_FLUSHING_THE_LOG = 2
SIZE = 320 << 20


class Disk:
    def __init__(self, folder: Path, kind: str) -> None:
        self.image, self.mounted_at, self.kind = folder / "image", folder / "disk", kind

    def make(self) -> None:
        with self.image.open("wb") as file:
            file.truncate(SIZE)
        self.mounted_at.mkdir()
        subprocess.run([f"mkfs.{self.kind}", "-q", str(self.image)], check=True, capture_output=True)

    def mount(self, *options: str) -> None:
        command = ["mount", "-t", self.kind, "-o", ",".join(("loop", *options)), str(self.image), str(self.mounted_at)]
        subprocess.run(command, check=True, capture_output=True)

    def remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.mounted_at)], check=True, capture_output=True)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.mounted_at)], check=True, capture_output=True)

    def cut(self) -> None:
        folder = os.open(self.mounted_at, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", WITHOUT_FLUSHING_THE_LOG))
        finally:
            os.close(folder)


@contextmanager
def disk(folder: Path, kind: str) -> Iterator[Disk]:
    """Skips, saying why, where there is no such disk to be had; takes the mount down whatever happens."""
    if os.geteuid() != 0 or shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"needs root and mkfs.{kind}")
    made = Disk(folder, kind)
    try:
        try:
            made.make()
            made.mount()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no loop mount of {kind} here: {error.stderr.decode().strip()}")
        yield made
    finally:
        while os.path.ismount(made.mounted_at):
            subprocess.run(["umount", "-l", str(made.mounted_at)], check=True, capture_output=True)
