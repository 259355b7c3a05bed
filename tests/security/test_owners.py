"""Who may write into a queue can run jobs as its owner: a queue where others may is refused, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.errors import QueueFolderError
from jobqueue.queue.doctor import doctor
from jobqueue.store.layout import STATUS_FOLDERS, SUPPORT_FOLDERS

PARTS = ("", *STATUS_FOLDERS, ".jobqueue", *(f".jobqueue/{name}" for name in SUPPORT_FOLDERS))
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Queue(tmp_path / "q q").close()
    return tmp_path / "q q"


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_others_may_write_to(part: str, mode: int, folder: Path) -> None:
    (folder / part).chmod(mode)
    for create in (True, False):
        with pytest.raises(QueueFolderError, match="others may write here") as caught:
            Queue(folder, create=create)
        assert f"chmod go-w '{folder / part}'" in str(caught.value)


@needs_root
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_another_user(part: str, folder: Path) -> None:
    """To root too, where the parts belong to different people: one of them could give work to the other."""
    os.chown(folder / part, NOBODY, NOBODY)
    if part:
        with pytest.raises(QueueFolderError, match="belongs to user 65534") as caught:
            Queue(folder)
        assert "chown -R" in str(caught.value)
    else:  # a queue that root looks at for its owner; the rest is root's
        with Queue(folder) as queue:
            assert any("belongs to" in str(finding) or "owner 65534" in str(finding) for finding in doctor(queue))


def as_nobody(act: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            act()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_root
def test_the_queue_of_another_user(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    for parent in folder.parents:
        if parent.owner() == "root" and parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(0o755)

    def refused() -> None:
        for create in (True, False):
            with pytest.raises(QueueFolderError, match="belongs to user 0, not to you"):
                Queue(folder, create=create)

    assert as_nobody(refused) == 0


@pytest.mark.parametrize("command", [["jobqueue", "list"], ["jobqueue", "enqueue", "x"], ["jobqueue.worker", "-H", "h.py"]])
def test_commands_and_workers_refuse_in_one_line(command: list[str], folder: Path) -> None:
    Path("h.py").write_text("from jobqueue import handler\n@handler\ndef x(): ...\n")
    (folder / "pending").chmod(0o777)
    module, *rest = command
    done = subprocess.run([sys.executable, "-m", module, *rest, "--queue", folder], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "chmod go-w" in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("mode", "level"), [(0o755, "ok"), (0o1777, "ok"), (0o777, "warn"), (0o775, "warn")])
def test_doctor_tells_who_could_move_the_queue_away(mode: int, level: str, tmp_path: Path) -> None:
    """Only told: in its place another queue of yours could be put, but none of theirs is opened."""
    (tmp_path / "way").mkdir()
    (tmp_path / "way").chmod(mode)
    with Queue(tmp_path / "way" / "q") as queue:
        (finding,) = (finding for finding in doctor(queue) if finding.what == "way to the queue")
    assert finding.level == level
    assert level == "ok" or ("chmod go-w" in finding.fix and str(tmp_path / "way") in finding.found)
