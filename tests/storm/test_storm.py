"""Everybody at one queue at once, killed again and again; then each acknowledged job is accounted for.

`make storm` lets it rage for STORM_SECONDS (180), STORM_SEED repeats the choices of one (not its timing).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ..proof.power_disk import disk
from .storm import Storm
from .storm_audit import Evidence, audit, gather
from .storm_report import table

SECONDS = float(os.environ.get("STORM_SECONDS", "180"))


def weather(storm: Storm, seconds: float, pause: float, patience: float) -> Evidence:
    storm.rage(seconds, pause)
    storm.settle(patience)
    seen = gather(storm.folder, storm.queue_dir, storm.killed, storm.told_to_stop)
    wrong = audit(seen)
    print(table(storm, seen))
    assert not wrong, "\n".join([f"STORM_SEED={storm.seed}", *wrong[:20]])
    return seen


def test_nothing_is_lost_or_doubled_in_a_short_storm(make_storm: Callable[..., Storm]) -> None:
    storm = make_storm()
    seen = weather(storm, 6, 0.2, 60)

    assert sum(storm.kills.values()) >= 10
    assert len(seen.acknowledged) > 50
    assert len(seen.runs) > 20


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nothing_is_lost_or_doubled_in_a_long_storm(
    make_storm: Callable[..., Storm], capsys: pytest.CaptureFixture[str]
) -> None:
    storm = make_storm()
    seen = weather(storm, SECONDS, 0.5, 600)

    assert set(storm.kills) == set(storm.started)
    with capsys.disabled():
        print(f"\nSTORM_SEED={storm.seed}\n{table(storm, seen)}")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nothing_is_lost_or_doubled_on_a_disk_of_its_own_where_all_is_synced(
    make_storm: Callable[..., Storm], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk(tmp_path, "ext4") as mounted:
        folder = mounted.mounted_at / "storm"
        folder.mkdir()
        storm = make_storm(folder, durability="strict")
        try:
            seen = weather(storm, SECONDS / 3, 0.5, 600)
        finally:
            storm.close()
    with capsys.disabled():
        print(f"\nSTORM_SEED={storm.seed}, strict, on ext4\n{table(storm, seen)}")
