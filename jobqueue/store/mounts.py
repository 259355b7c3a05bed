"""On what kind of file system a folder lies, and what that means for a queue."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jobqueue.store.finding import Finding

MOUNTS = "/proc/self/mountinfo"
OCTAL = re.compile(r"\\([0-7]{3})")
ELSEWHERE = "keep the queue on a disk of this machine, and copy results to the other place when they are done"

REMOTE = {"cifs", "smb2", "smb3", "smbfs", "ncpfs", "9p", "drvfs", "vboxsf", "prl_fs", "vmhgfs"}
REMOTE |= {f"fuse.{name}" for name in ("sshfs", "vmhgfs-fuse", "smbnetfs", "curlftpfs", "davfs2")}
OBJECTS = {"s3fs", "gcsfuse", "goofys", "rclone", "mountpoint-s3", "blobfuse", "blobfuse2", "onedriver", "geesefs"}
OBJECTS |= {"dropbox", "google-drive-ocamlfuse", "juicefs", "seadrive", "drivefs"}
CLUSTER = {
    "nfs",
    "nfs4",
    "ceph",
    "lustre",
    "gpfs",
    "beegfs",
    "afs",
    "gfs2",
    "ocfs2",
    "glusterfs",
    "orangefs",
    "pvfs2",
    "wekafs",
}
CLUSTER |= {f"fuse.{name}" for name in ("glusterfs", "ceph-fuse", "ceph", "moosefs", "mfs")}
LAYERS = {"overlay", "aufs", "unionfs", "fuse.fuse-overlayfs"}
IN_MEMORY = {"tmpfs", "ramfs"}
PLAIN = {"vfat", "msdos", "exfat", "fuseblk", "ntfs", "ntfs3"}
SYNCED = {"Dropbox", "Google Drive", "GoogleDrive", "My Drive", "iCloud Drive", "CloudStorage", "Nextcloud", "ownCloud"}
SYNCED |= {"pCloud Drive", "pCloudDrive", "MEGAsync", "MEGA", "Box Sync", "Yandex.Disk", "Seafile", "Syncthing"}
SYNC_PREFIXES = ("OneDrive", "Dropbox (")
SYNC_MARKS = (".stfolder", ".dropbox.cache")


class Mount(NamedTuple):
    point: str
    kind: str


def read_mounts(text: str) -> dict[int, Mount]:
    """The lines of a mountinfo file by the id of the mount."""
    found = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if " - " in line and len(fields) > 4:
            point = OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
            found[int(fields[0])] = Mount(point, line.split(" - ", 1)[1].split(" ")[0])
    return found


def mount_id(file: int) -> int:
    """The mount through which a descriptor was opened: it tells bind mounts apart, which `st_dev` does not."""
    text = Path(f"/proc/self/fdinfo/{file}").read_text()
    return int(re.findall(r"^mnt_id:\s*(\d+)", text, re.MULTILINE)[0])


def mount_of(file: int) -> Mount:
    text = Path(MOUNTS).read_bytes().decode("utf-8", "surrogateescape")
    return read_mounts(text).get(mount_id(file), Mount("?", "unknown"))


def judge_kind(kind: str) -> Finding:
    """What this kind of file system means for a queue. What it really does is tried by the self-test."""
    what = "file system"
    if kind in REMOTE:
        return Finding(
            "fail", what, f"{kind}: the same lock and the same job may be granted twice, and no events come", ELSEWHERE
        )
    if kind.removeprefix("fuse.") in OBJECTS:
        return Finding(
            "fail", what, f"{kind}: here a rename is a copy and a removal, so a job can be lost or doubled", ELSEWHERE
        )
    if kind in CLUSTER:
        found = (
            f"{kind}: shared by machines: locks and the order of renames are only proved on one, and no events come from others"
        )
        return Finding("warn", what, found, "run all workers of this queue on one machine")
    if kind in LAYERS:
        found = f"{kind}: a layer of a container, which is removed with it, jobs and all"
        return Finding("warn", what, found, "mount a volume at the queue folder")
    if kind in IN_MEMORY:
        return Finding("warn", what, f"{kind}: in memory, so jobs are gone after a restart", "use a folder on a disk")
    if kind in PLAIN:
        return Finding(
            "warn", what, f"{kind}: keeps no permissions, so others on this machine may read jobs", "use ext4, xfs or btrfs"
        )
    if kind.startswith("fuse"):
        return Finding(
            "warn", what, f"{kind}: a program of its own stands between the queue and the disk", "use a local disk if in doubt"
        )
    return Finding("ok", what, kind)


def judge_path(path: Path) -> Finding | None:
    """A finding where something copies the folder to other machines; None where nothing is seen of that."""
    for folder in (path, *path.parents):
        named = folder.name in SYNCED or folder.name.startswith(SYNC_PREFIXES)
        if named or any(os.path.lexists(folder / mark) for mark in SYNC_MARKS):
            found = f"{folder} is copied to other machines by a program that knows nothing of claims, so jobs run twice"
            return Finding("fail", "synchronised folder", found, ELSEWHERE)
    return None


def apart(folders: Iterable[tuple[str, int]], root: int) -> list[str]:
    """Which of these (name, descriptor) are on another mount than the root: a rename between them fails."""
    home = mount_id(root)
    return [name for name, file in folders if mount_id(file) != home]
