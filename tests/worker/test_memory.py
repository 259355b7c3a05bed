"""A worker on a machine that runs out of memory."""

from pathlib import Path

import pytest

from jobqueue.worker import memory
from jobqueue.worker.memory import Memory


@pytest.fixture
def meminfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "meminfo"
    monkeypatch.setattr(memory, "MEMINFO", str(file))
    return file


def say(meminfo: Path, available: int) -> None:
    meminfo.write_text(f"MemTotal:       1000 kB\nMemFree:        {available // 2} kB\nMemAvailable:   {available} kB\n")


def test_one_job_at_a_time_while_memory_is_scarce(meminfo: Path, caplog: pytest.LogCaptureFixture) -> None:
    room = Memory(4)
    for available, allowed in ((500, 4), (49, 1), (40, 1), (51, 4)):
        say(meminfo, available)
        room.look()
        assert room.allowed == allowed
    assert [record.getMessage() for record in caplog.records] == [
        "5 % of the memory is available: now 1 jobs at a time",
        "5 % of the memory is available: now 4 jobs at a time",
    ]


def test_a_system_that_does_not_say_changes_nothing(meminfo: Path) -> None:
    room = Memory(4)
    room.look()
    meminfo.write_text("nonsense\n")
    room.look()
    assert room.allowed == 4


def test_this_machine_says() -> None:
    share = memory.available_share()
    assert share is not None
    assert 0 < share <= 1
