"""The self-test: each thing works here, and where it is really broken the finding says so."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue.store import files, trial
from jobqueue.store.finding import Finding, problems, size, some
from jobqueue.store.folder import Folder
from jobqueue.store.locks import Locks
from jobqueue.store.mounts import judge_kind, judge_path, read_mounts
from jobqueue.store.selftest import selftest, summary
from jobqueue.store.watch import Watch


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / "queue_dir")
    yield folder
    folder.close()


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    named = {finding.what: finding for finding in findings}
    assert len(named) == len(findings), "each thing is found once"
    return named


def tried(folder: Folder, what: str) -> Finding:
    findings = by_name(selftest(folder))
    assert os.listdir(folder.fds["tmp"]) == []
    return findings[what]


# A folder in order


def test_all_is_well_in_a_folder_on_a_disk(folder: Folder) -> None:
    findings = by_name(selftest(folder))

    expected = ["rename", "exchange", "lock", "events", "fsync"]
    assert {what: findings[what].level for what in expected} == dict.fromkeys(expected, "ok")
    assert {"link count", "new files", "read lease", "one file system", "permissions", "free space", "inodes"} < findings.keys()
    assert findings["queue folder"].found == str(folder.path)
    assert os.listdir(folder.fds["tmp"]) == []
    assert [os.listdir(folder.by_status[status]) for status in folder.by_status] == [[]] * 4


def test_the_summary_is_one_line() -> None:
    healthy = [
        Finding("ok", "queue folder", "/data/queue_dir"),
        Finding("ok", "file system", "ext4"),
        *(Finding("ok", what, "works") for what in ("rename", "exchange", "lock", "events")),
        Finding("ok", "fsync", "0.6 ms"),
        Finding("ok", "free space", "78 GB free"),
    ]
    assert summary(healthy) == "queue_dir: ext4, rename, exchange, lock, events ok; fsync 0.6 ms; 78 GB free"


def test_the_summary_says_problems_first() -> None:
    findings = [
        Finding("ok", "queue folder", "/data/q"),
        Finding("ok", "file system", "ext4"),
        Finding("warn", "events", "none"),
        Finding("ok", "rename", "moves"),
        Finding("fail", "lock", "granted twice"),
    ]
    assert summary(findings) == "q: FAIL lock: granted twice; WARN events: none; ext4, rename ok"


def test_the_summary_of_a_real_folder(folder: Folder) -> None:
    assert re.fullmatch(r"queue_dir: .*rename, exchange, lock, events ok; fsync \d+\.\d ms; .*", summary(selftest(folder)))


def test_a_finding_is_one_printable_line() -> None:
    finding = Finding("warn", "file", "a\nb\udcff\x1b[31m", "rm 'a\tb'")
    assert str(finding) == "warn file: a\\nb\\xff\\x1b[31m; rm 'a\\tb'"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (78_000_000_000, "78 GB"), (999_999, "1.0 MB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_some_of_many() -> None:
    assert some(["a", "b"]) == "a; b"
    assert some(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"


# Kinds of file systems


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("ext4", "ok"),
        ("xfs", "ok"),
        ("btrfs", "ok"),
        ("zfs", "ok"),
        ("fuse.sshfs", "fail"),
        ("cifs", "fail"),
        ("9p", "fail"),
        ("fuse.s3fs", "fail"),
        ("fuse.rclone", "fail"),
        ("nfs4", "warn"),
        ("fuse.glusterfs", "warn"),
        ("overlay", "warn"),
        ("tmpfs", "warn"),
        ("vfat", "warn"),
        ("fuse.anything", "warn"),
    ],
)
def test_what_a_file_system_means(kind: str, level: str) -> None:
    finding = judge_kind(kind)
    assert finding.level == level
    assert finding.found.startswith(kind)
    assert bool(finding.fix) == (level != "ok")


def test_mounts_are_read_with_their_blanks_and_options() -> None:
    text = (
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "36 35 98:0 / /mnt/my\\040disk rw,noatime master:1 shared:7 - fuse.sshfs me@host:/ rw,errors=continue\n"
        "a line that is none\n"
    )
    assert read_mounts(text) == {22: ("/proc", "proc"), 36: ("/mnt/my disk", "fuse.sshfs")}


@pytest.mark.parametrize("name", ["Dropbox", "OneDrive - Work", "Google Drive", "Nextcloud"])
def test_a_synchronised_folder_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    folder = Folder(tmp_path / name / "queue_dir")
    assert tried(folder, "synchronised folder").level == "fail"
    folder.close()


def test_a_synchronised_folder_is_known_by_its_mark(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    assert judge_path(tmp_path / "shared" / "q") is None
    (tmp_path / "shared" / ".stfolder").mkdir()
    finding = judge_path(tmp_path / "shared" / "q")
    assert finding is not None
    assert str(tmp_path / "shared") in finding.found


# File systems that are really there

SCRIPT = """
import json, subprocess, sys
from jobqueue.store.folder import Folder
from jobqueue.store.selftest import selftest
folder = Folder(sys.argv[1])
for command in sys.argv[2:]:
    subprocess.run(command, shell=True, check=True, cwd=sys.argv[1])
print(json.dumps({finding.what: [finding.level, finding.found] for finding in selftest(folder)}))
"""
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def in_own_mounts(place: Path, *commands: str, after: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """The findings for `place`/queue_dir in a mount namespace of its own, after these shell commands."""
    place.mkdir(exist_ok=True)
    if shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mounts of our own (unshare)")
    arguments = " ".join(f"'{argument}'" for argument in (place / "queue_dir", *after))
    shell = "\n".join(["set -e", *commands, f'exec "{sys.executable}" -c "$SCRIPT" {arguments}'])
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", shell], cwd=place, capture_output=True, text=True, env={**os.environ, "SCRIPT": SCRIPT}
    )
    if "mount: " in done.stderr:
        pytest.skip(f"this machine does not mount that: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_small_file_system_in_memory(tmp_path: Path) -> None:
    place = tmp_path / "small"
    findings = in_own_mounts(place, f"mount -t tmpfs -o size=50m,nr_inodes=500 tmpfs {place}", f"cd {place}")
    assert findings["file system"][0] == "warn"
    assert "in memory" in findings["file system"][1]
    assert findings["free space"][0] == "warn"
    assert findings["inodes"][0] == "warn"
    assert findings["rename"][0] == findings["lock"][0] == "ok"


def test_a_file_system_without_a_free_inode(tmp_path: Path) -> None:
    place = tmp_path / "full"
    fill = "i=0; while touch ../f$i 2>/dev/null; do i=$((i+1)); done"
    findings = in_own_mounts(place, f"mount -t tmpfs -o size=50m,nr_inodes=60 tmpfs {place}", f"cd {place}", after=(fill,))
    assert findings["inodes"] == ["fail", "0 free"]
    assert findings["writing"][0] == "fail"
    assert "No space left on device" in findings["writing"][1]


def test_a_full_file_system(tmp_path: Path) -> None:
    place = tmp_path / "full"
    fill = "head -c 20m /dev/zero > ../fill 2>/dev/null || true"
    findings = in_own_mounts(place, f"mount -t tmpfs -o size=8m tmpfs {place}", f"cd {place}", after=(fill,))
    assert findings["free space"] == ["fail", "0 B free"]
    assert findings["rename"][0] == "fail"
    assert "No space left on device" in findings["rename"][1]


def test_a_layer_of_a_container(tmp_path: Path) -> None:
    place = tmp_path / "layers"
    findings = in_own_mounts(
        place,
        f"mount -t tmpfs tmpfs {place}",
        f"cd {place}; mkdir low up work queue_dir",
        f"mount -t overlay overlay -o lowerdir={place}/low,upperdir={place}/up,workdir={place}/work {place}/queue_dir",
    )
    assert findings["file system"][0] == "warn"
    assert "container" in findings["file system"][1]


def test_a_file_system_that_became_read_only(tmp_path: Path) -> None:
    place = tmp_path / "frozen"
    findings = in_own_mounts(
        place, f"mount -t tmpfs tmpfs {place}", f"cd {place}", after=(f"mount -o remount,ro tmpfs {place}",)
    )
    assert findings["writing"][0] == "fail"
    assert "Read-only file system" in findings["writing"][1]


def test_another_mount_in_one_of_the_folders(tmp_path: Path) -> None:
    """A bind mount has the same device number, and still no file can be renamed into it."""
    place = tmp_path / "two"
    bind = f"mkdir ../other; mount --bind {place}/other {place}/queue_dir/done"
    findings = in_own_mounts(place, f"mount -t tmpfs tmpfs {place}", f"cd {place}", after=(bind,))
    assert findings["one file system"][0] == "fail"
    assert findings["one file system"][1].startswith("done on another mount")


# The folder


def test_others_may_look(folder: Folder) -> None:
    folder.path.chmod(0o755)
    finding = tried(folder, "permissions")
    assert (finding.level, finding.fix) == ("warn", f"chmod 700 {folder.path}")
    assert finding.found.startswith("mode 0755")


def test_others_may_write(folder: Folder) -> None:
    folder.path.chmod(0o770)
    finding = tried(folder, "permissions")
    assert (finding.level, finding.fix) == ("fail", f"chmod go-w {folder.path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_the_folder_of_somebody_else(folder: Folder) -> None:
    os.chown(folder.path, 65534, 65534)
    finding = tried(folder, "permissions")
    assert finding.level == "warn"
    assert "owner 65534" in finding.found


def test_the_folder_was_replaced(folder: Folder) -> None:
    folder.path.rename(folder.path.with_name("elsewhere"))
    Folder(folder.path).close()
    finding = by_name(selftest(folder))["permissions"]
    assert finding.level == "fail"
    assert "moved or replaced" in finding.found


def test_the_folder_was_removed(folder: Folder) -> None:
    shutil.rmtree(folder.path)
    findings = by_name(selftest(folder))
    assert findings["one file system"].level == findings["writing"].level == findings["permissions"].level == "fail"


def test_a_link_in_place_of_a_folder(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "done").rmdir()
    (folder.path / "done").symlink_to(tmp_path)
    finding = tried(folder, "one file system")
    assert finding.level == "fail"
    assert finding.found.startswith("done is no folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to(folder: Folder) -> None:
    tmp = folder.path / ".jobqueue" / "tmp"
    tmp.chmod(0o500)
    findings = by_name(selftest(folder))
    tmp.chmod(0o700)
    assert findings["writing"].level == "fail"


# What may be missing


def rename_ignoring_flags(source: int, name: bytes, target: int, new_name: bytes, flags: int) -> int:
    os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    return 0


def test_renames_that_overwrite(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "renameat2", rename_ignoring_flags)
    assert tried(folder, "rename").level == "fail"
    assert "overwrites" in tried(folder, "rename").found
    assert tried(folder, "exchange").level == "fail"


def test_renames_that_know_no_flags(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: int, name: bytes, target: int, new_name: bytes, flags: int) -> int:
        ctypes.set_errno(errno.EINVAL)
        return -1

    monkeypatch.setattr(files, "renameat2", refuse)
    for what in ("rename", "exchange", "events"):
        assert tried(folder, what).level == "fail"
        assert "Invalid argument" in tried(folder, what).found


def test_renames_that_do_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "renameat2", lambda *_: 0)
    monkeypatch.setattr(trial, "EVENT_WITHIN", 0.02)
    assert "not where it should be" in tried(folder, "rename").found
    assert "did not change places" in tried(folder, "exchange").found


def test_a_lock_that_is_granted_twice(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    finding = tried(folder, "lock")
    assert finding.level == "fail"
    assert "granted twice" in finding.found


def test_a_lock_file_that_is_removed_on_release(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    release = Locks.release

    def remove_too(locks: Locks, owner: str) -> None:
        (locks.folder / owner).unlink()
        release(locks, owner)

    monkeypatch.setattr(Locks, "release", remove_too)
    finding = tried(folder, "lock")
    assert finding.level == "fail"
    assert "filelock" in finding.fix


def test_a_lock_that_stays(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Locks, "release", lambda locks, owner: None)
    assert "not free" in tried(folder, "lock").found


def test_no_locks_at_all(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    finding = tried(folder, "lock")
    assert finding.level == "fail"
    assert "No locks available" in finding.found


@pytest.mark.alone
def test_no_inotify_instance_is_left(folder: Folder) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    most = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    if most > 500:
        pytest.skip(f"{most} inotify instances are too many to use up")
    taken = []
    try:
        while (instance := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            taken.append(instance)
        finding = tried(folder, "events")
    finally:
        for instance in taken:
            os.close(instance)
    assert finding.level == "warn"
    assert "polling every 50 ms" in finding.found


def test_events_that_never_come(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "start", lambda watch: True)
    monkeypatch.setattr(trial, "EVENT_WITHIN", 0.02)
    finding = tried(folder, "events")
    assert finding.level == "warn"
    assert "polling every 50 ms" in finding.found


def test_no_leases(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "F_SETLEASE", 99_999)
    finding = tried(folder, "read lease")
    assert finding.level == "warn"
    assert "Invalid argument" in finding.found


def test_leases_that_mean_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "is_being_written", lambda file: False)
    assert tried(folder, "read lease").level == "warn"


def test_files_that_others_may_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_new = files.write_new

    def write_openly(folder: int, name: str, data: bytes, *, sync: bool = False) -> None:
        write_new(folder, name, data, sync=sync)
        os.chmod(name, 0o755, dir_fd=folder)

    monkeypatch.setattr(files, "write_new", write_openly)
    finding = tried(folder, "new files")
    assert finding.level == "warn"
    assert "mode 0755" in finding.found


def test_links_that_are_not_counted(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "link", lambda folder, name, new_name: files.write_new(folder, new_name, b""))
    assert tried(folder, "link count").level == "warn"


def test_no_links_at_all(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(files, "link", refuse)
    assert tried(folder, "link count").level == "ok"


@pytest.mark.parametrize("step", ["mkdir", "create", "write", "move", "swap", "link", "fsync", "fsync folder"])
def test_a_disk_that_fails_at_one_step(folder: Folder, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(files, "probe", failing_at(step))
    findings = selftest(folder)
    monkeypatch.setattr(files, "probe", None)

    broken = [finding for finding in problems(findings) if finding.level == "fail"]
    assert broken
    assert all("Input/output error" in finding.found for finding in broken)
    assert os.listdir(folder.fds["tmp"]) == []


def failing_at(step: str) -> Callable[[str], None]:
    def probe(name: str) -> None:
        if name == step:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    return probe
