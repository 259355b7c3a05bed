"""The queue folder: refused at the start where it cannot be trusted, with what to do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jobqueue.errors import QueueFolderError
from jobqueue.store import files
from jobqueue.store.folder import Folder
from jobqueue.store.layout import STATUS_FOLDERS


def refused(path: Path, *fragments: str, create: bool = True) -> None:
    with pytest.raises(QueueFolderError) as caught:
        Folder(path, create=create)
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_new_queue_is_private_and_shows_four_folders(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        folder = Folder(tmp_path / "a" / "q")
    finally:
        os.umask(old)
    assert sorted(name for name in os.listdir(folder.path) if name[0] != ".") == sorted(STATUS_FOLDERS)
    for path in (folder.path, *folder.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    folder.close()


def test_a_missing_folder_is_not_made_unless_asked(tmp_path: Path) -> None:
    refused(tmp_path / "q", "no such folder", "jobqueue init", create=False)
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize("name", [*STATUS_FOLDERS, ".jobqueue"])
def test_a_missing_part_is_named(tmp_path: Path, name: str) -> None:
    Folder(tmp_path / "q").close()
    shutil.rmtree(tmp_path / "q" / name)
    refused(tmp_path / "q", Path(name).name, create=False)
    Folder(tmp_path / "q").close()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777, 0o722])
def test_a_folder_that_others_may_write_to(tmp_path: Path, mode: int) -> None:
    (tmp_path / "q").mkdir()
    (tmp_path / "q").chmod(mode)
    refused(tmp_path / "q", "others may write", "chmod")


def test_a_folder_that_others_may_read_is_their_business(tmp_path: Path) -> None:
    (tmp_path / "q").mkdir()
    (tmp_path / "q").chmod(0o755)
    Folder(tmp_path / "q").close()


def test_a_symlink_to_a_queue(tmp_path: Path) -> None:
    Folder(tmp_path / "real").close()
    (tmp_path / "q").symlink_to(tmp_path / "real")
    refused(tmp_path / "q", "symlink", str(tmp_path / "real"))
    refused(tmp_path / "q", create=False)


@pytest.mark.parametrize("name", [*STATUS_FOLDERS, ".jobqueue", ".jobqueue/tmp", ".jobqueue/keys"])
@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_something_else_in_place_of_a_part(tmp_path: Path, name: str, kind: str) -> None:
    Folder(tmp_path / "q").close()
    place = tmp_path / "q" / name
    shutil.rmtree(place)
    if kind == "file":
        place.write_text("in the way")
    else:
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere" / ("nothing" if kind == "dangling" else ""))
    refused(tmp_path / "q")
    refused(tmp_path / "q", create=False)
    assert not os.listdir(tmp_path / "elsewhere") if kind != "file" else place.read_text() == "in the way"


def test_a_file_in_place_of_the_queue(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("in the way")
    refused(tmp_path / "q", "queue folder")
    refused(tmp_path / "q" / "inner", "queue folder")
    refused(tmp_path / "q", create=False)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    refused(tmp_path / ("n" * 300), "too long")


BOUND = """
import sys, os, subprocess
from jobqueue.errors import QueueFolderError
from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.folder import Folder
path, part = sys.argv[1:]
Folder(path).close()
done = subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "none", os.path.join(path, part)])
if done.returncode:
    sys.exit(77)
try:
    Folder(path)
except QueueFolderError as error:
    assert "file system" in str(error), error
    assert part.split("/")[-1] in str(error), error
    sys.exit(0)
sys.exit("two file systems were accepted")
"""


@pytest.mark.parametrize("part", ["pending", "claimed", "done", "failed", ".jobqueue", ".jobqueue/tmp", ".jobqueue/trash"])
def test_two_file_systems_under_one_root(tmp_path: Path, part: str) -> None:
    command = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", BOUND, str(tmp_path / "q"), part]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


def test_a_read_only_folder(forked: Callable[..., int]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="jobqueue-"))

    def work() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        Folder(folder / "q").close()
        for part in ("done", ".jobqueue/tmp"):
            (folder / "q" / part).chmod(0o500)
            refused(folder / "q", "write permission")
            (folder / "q" / part).chmod(0o700)
        Folder(folder / "q").close()

    try:
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            assert forked(work) == 0
        else:
            work()
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
        shutil.rmtree(folder)


def test_a_folder_of_somebody_else(forked: Callable[..., int]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = Path(tempfile.mkdtemp(prefix="jobqueue-"))

    def work() -> None:
        os.setgid(65534)
        os.setuid(65534)
        refused(folder / "q")

    try:
        folder.chmod(0o755)
        Folder(folder / "q").close()
        (folder / "q").chmod(0o755)
        assert forked(work) == 0
    finally:
        shutil.rmtree(folder)


def test_in_place(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "q")
    assert folder.in_place()
    (tmp_path / "q" / "done").rename(tmp_path / "done")
    assert not folder.in_place()
    (tmp_path / "q" / "done").mkdir()
    assert not folder.in_place()
    (tmp_path / "q" / "done").rmdir()
    (tmp_path / "done").rename(tmp_path / "q" / "done")
    assert folder.in_place()
    (tmp_path / "q").rename(tmp_path / "other")
    assert not folder.in_place()
    (tmp_path / "q").symlink_to(tmp_path / "other")
    assert not folder.in_place()
    folder.close()


def test_a_job_that_moves_while_it_is_looked_for_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobqueue.store import files

    folder = Folder(tmp_path / "q")
    paths = [tmp_path / "q" / status / "x.json" for status in ("pending", "done")]
    paths[0].write_text("{}")
    original = files.exists
    moves = iter(range(2))

    def exists(fd: int, name: str) -> bool:
        if fd == folder.fds["done"] and next(moves, None) is not None:
            here = paths[0] if paths[0].exists() else paths[1]
            there = paths[1] if here is paths[0] else paths[0]
            answer = original(fd, name)
            here.rename(there)
            return answer
        return original(fd, name)

    paths[0].rename(paths[1])
    monkeypatch.setattr(files, "exists", exists)
    assert folder.find("x") is not None
    folder.close()


def test_a_refused_folder_leaves_nothing_open(tmp_path: Path) -> None:
    Folder(tmp_path / "q", create=True).close()
    (tmp_path / "q" / "failed").chmod(0o777)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(QueueFolderError):
        Folder(tmp_path / "q", create=True)
    assert len(os.listdir("/proc/self/fd")) == before


LISTINGS: dict[str, Callable[[Folder], set[str]]] = {
    "names": lambda folder: set(files.names(folder.pending)),
    "one by one": lambda folder: set(files.names_in(folder.pending)),
    "claim folders": lambda folder: set(folder.claim_folder_names()),
}


@pytest.mark.parametrize("listing", LISTINGS)
def test_threads_that_list_a_folder_at_once_each_see_all_of_it(tmp_path: Path, listing: str) -> None:
    """A position in a folder belongs to the descriptor: through the same one, one thread sees names twice, another none."""
    folder = Folder(tmp_path / "q")
    wanted = {f"10-20260101T000000{number:06}-0000000{number % 10}.json" for number in range(50)}
    for name in wanted:
        (folder.path / "pending" / name).write_text("{}")
    if listing == "claim folders":
        wanted = {f"host-1-{number:08x}" for number in range(50)}
        for name in wanted:
            (folder.path / "claimed" / name).mkdir(mode=0o700)
    wrong = list[int]()

    def list_again_and_again() -> None:
        for _ in range(300):
            seen = LISTINGS[listing](folder)
            if seen != wanted:
                wrong.append(len(seen))

    threads = [threading.Thread(target=list_again_and_again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder.close()
    assert wrong == []


def test_a_descriptor_is_closed_once_nobody_has_it_and_not_before(tmp_path: Path) -> None:
    """The folder of a worker that left is forgotten while another thread lists it: its number must not become another's."""
    folder, elsewhere = Folder(tmp_path / "q"), Folder(tmp_path / "q")
    elsewhere.make_claim_folder("host-1-00000001")
    held = folder.open_briefly("host-1-00000001")
    seen = os.fstat(held)
    assert elsewhere.drop_claim_folder("host-1-00000001")
    with pytest.raises(FileNotFoundError):
        folder.open_briefly("host-1-00000001")
    (tmp_path / "q" / "claimed" / "host-1-00000002").mkdir(mode=0o700)
    folder.open_briefly("host-1-00000002")
    assert os.path.samestat(os.fstat(held), seen)
    number = int(held)
    del held
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    for one in (folder, elsewhere):
        one.close()
