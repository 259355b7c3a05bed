"""Group commit: what many callers share, and what each of them is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobqueue.store import files
from jobqueue.store.commit import FEW, Scratch, Together


class Gate:
    """Work that waits in its first group until it is let through, and notes every group."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.inside, self.go = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def work(self, items: Sequence[int]) -> None:
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.inside.set()
            assert self.go.wait(20)
        elif self.error is not None:
            raise self.error


def in_threads(calls: Sequence[Callable[[], None]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def run_groups(gate: Gate, callers: int) -> dict[int, BaseException | None]:
    """One caller works, the others come meanwhile; what each was told."""
    together = Together(gate.work)
    told: dict[int, BaseException | None] = {}

    def call(number: int) -> None:
        try:
            together.do([number, number + 100])
            told[number] = None
        except BaseException as error:
            told[number] = error

    first = in_threads([lambda: call(0)])
    assert gate.inside.wait(20)
    others = in_threads([lambda number=number: call(number) for number in range(1, callers)])  # type: ignore[misc]
    while len(together.waiting) < callers - 1:
        threading.Event().wait(0.001)
    gate.go.set()
    for thread in (*first, *others):
        thread.join(20)
    return told


def test_callers_that_come_meanwhile_share_the_next_group() -> None:
    gate = Gate()
    told = run_groups(gate, 9)
    assert told == dict.fromkeys(range(9))
    assert len(gate.groups) == 2
    assert sorted(gate.groups[1]) == sorted([*range(1, 9), *range(101, 109)])


def test_an_error_reaches_everyone_in_the_group_and_nobody_else() -> None:
    gate = Gate()
    gate.error = OSError("disk")
    told = run_groups(gate, 6)
    assert told[0] is None
    assert all(told[number] is gate.error for number in range(1, 6))


def test_a_lone_caller_waits_for_nobody() -> None:
    groups: list[list[int]] = []
    together = Together[int](lambda items: groups.append(list(items)))
    for number in range(3):
        together.do([number])
    assert groups == [[0], [1], [2]]


def test_work_goes_on_after_an_error() -> None:
    calls: list[int] = []

    def work(items: Sequence[int]) -> None:
        calls.append(len(items))
        if len(calls) == 1:
            raise ValueError("once")

    together = Together(work)
    with pytest.raises(ValueError, match="once"):
        together.do([1])
    together.do([2])
    assert calls == [1, 1]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, 30])
def test_few_files_are_synced_one_by_one_and_many_together(folder: int, probed: list[str], count: int) -> None:
    names = Scratch(folder, durable=True).write([b"x"] * count)
    assert len(set(names)) == count
    assert probed.count("fsync") == (count if count <= FEW else 0)
    assert probed.count("syncfs") == (0 if count <= FEW else 1)


@pytest.mark.parametrize("step", ["create", "write", "fsync", "syncfs"])
@pytest.mark.parametrize("count", [3, 10])
def test_all_files_or_none(folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, count: int) -> None:
    left = [2 if step in ("create", "write") else 1]

    def probe(name: str) -> None:
        left[0] -= name == step
        if left[0] == 0 and name == step:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "probe", probe)
    used = step in ("create", "write") or (step == "fsync") == (count <= FEW)
    scratch = Scratch(folder, durable=True)
    if used:
        with pytest.raises(OSError, match="No space"):
            scratch.write([b"x"] * count)
    else:
        scratch.write([b"x"] * count)
    assert len(os.listdir(tmp_path)) == (0 if used else count)


def test_a_forked_child_uses_other_names(folder: int, tmp_path: Path, forked: Any) -> None:
    scratch = Scratch(folder, durable=False)
    (mine,) = scratch.write([b"parent"])
    assert forked(lambda: scratch.write([b"child"] * 3)) == 0
    scratch.write([b"parent"])
    assert len(os.listdir(tmp_path)) == 5
    assert (tmp_path / mine).read_bytes() == b"parent"


def test_names_never_come_from_a_job_and_are_short(folder: int) -> None:
    assert all(len(name) < 60 for name in Scratch(folder, durable=False).write([b"x"] * 3))
