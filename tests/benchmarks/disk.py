"""What lies under the run: the file system, and a journaled one of our own where root allows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobqueue.store.mounts import mount_of

NO_JOURNAL = "<none>"


def file_system(path: Path) -> str:
    """In words: `ext4 without a journal (/, vda)`."""
    folder = os.open(path, os.O_RDONLY)
    try:
        mount = mount_of(folder)
        device = device_name(os.fstat(folder).st_dev)
    finally:
        os.close(folder)
    journal = ""
    if mount.kind == "ext4":
        journal = " without a journal" if has_no_journal(device) else " with a journal"
    return f"{mount.kind}{journal} ({mount.point}{f', {device}' if device else ''})"


def device_name(number: int) -> str:
    """`vda1`; empty where no block device lies under the file system."""
    link = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return os.path.basename(os.readlink(link)) if link.is_symlink() else ""


def has_no_journal(device: str) -> bool:
    try:
        return Path(f"/sys/fs/ext4/{device}/journal_task").read_text().strip() == NO_JOURNAL
    except OSError:
        return False


def why_no_mount() -> str:
    """Why no loop device can be mounted here; empty where one can."""
    if os.geteuid() != 0:
        return "only root can mount one"
    missing = [tool for tool in ("mkfs.ext4", "mount", "umount") if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is missing"
    return "" if Path("/dev/loop-control").exists() else "there are no loop devices"


@contextmanager
def journaled(parent: str | None, gib: int) -> Iterator[Path]:
    """A fresh ext4 with a journal on a loop device, taken down and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="jobqueue-disk-", dir=parent) as home:
        image, point = Path(home) / "image", Path(home) / "mount"
        point.mkdir()
        with image.open("wb") as file:
            file.truncate(gib << 30)
        # Many inodes; and all tables written now, not by a kernel thread beside the measurements.
        lazy = "lazy_itable_init=0,lazy_journal_init=0"
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-i", "4096", "-E", lazy, str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True)
        try:
            yield point
        finally:
            # After an error the traceback may still hold folders open: then it goes when they are closed.
            if subprocess.run(["umount", str(point)], capture_output=True).returncode != 0:
                subprocess.run(["umount", "--lazy", str(point)], check=True)


@contextmanager
def plain(parent: str | None) -> Iterator[Path]:
    """A fresh folder, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="jobqueue-bench-", dir=parent) as home:
        yield Path(home)
