"""A small file system, mounted for as long as a test lasts; skipped, saying why, where there is none to be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 8 << 20
INODES = 1200


@contextmanager
def small_disk(folder: Path, kind: str, *options: str) -> Iterator[Path]:
    """8 MiB of ext4 on a loop device, or of tmpfs; no blocks are kept back for root."""
    if os.geteuid() != 0 or (kind != "tmpfs" and shutil.which(f"mkfs.{kind}") is None):
        pytest.skip(f"needs root and mkfs.{kind}")
    mounted, image = folder / "small", folder / "image"
    mounted.mkdir()
    try:
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},nr_inodes={INODES},mode=0700", "tmpfs", str(mounted)]
        else:
            with image.open("wb") as file:
                file.truncate(SIZE)
            made = ["mkfs.ext4", "-q", "-m", "0", "-b", "4096", "-N", str(INODES), *options, str(image)]
            subprocess.run(made, check=True, capture_output=True)
            command = ["mount", "-t", kind, "-o", "loop", str(image), str(mounted)]
        subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no mount of {kind} here: {error.stderr.decode().strip()}")
    try:
        yield mounted
    finally:
        while os.path.ismount(mounted):
            subprocess.run(["umount", "-l", str(mounted)], check=True, capture_output=True)
