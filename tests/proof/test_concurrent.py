"""Several processes at one queue at the same time, some of them killed: some order explains all that they were told."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jobqueue.store.check import check
from jobqueue.store.spool import Spool

from .concurrent import IDS, Program, found_at_the_end, play, prepare, read_calls
from .history import explain

mostly_one = st.sampled_from([0, 0, 0, 0, 1])
outcomes = st.sampled_from(["done", "failed", "failed", "final", "snoozed", "released"])
change = st.tuples(st.just("change"), st.sampled_from(["cancel", "cancel", "retry", "purge", "delete", "restore"]), mostly_one)
other = st.sampled_from([("put", 2), ("look", 0), ("look", 1), ("rescue",)])
a_run = st.builds(
    lambda limit, outcome, more: [("claim", limit), *more, ("finish", outcome)],
    st.integers(1, 2),
    outcomes,
    st.lists(change, max_size=1),
)
parts = st.one_of(
    a_run, a_run, change.map(lambda step: [step]), change.map(lambda step: [step]), other.map(lambda step: [step])
)
programs = st.builds(
    lambda parts, killed_at: Program(tuple(step for part in parts for step in part), killed_at),
    st.lists(parts, min_size=1, max_size=3),
    st.none() | st.none() | st.integers(0, 40),
)
casts = st.lists(programs, min_size=2, max_size=3)
beginnings = st.lists(st.sampled_from(["pending", "pending", "done", "failed"]), min_size=1, max_size=2)
turns = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=25)
DEFAULT = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), print_blob=False, max_examples=60
)
met: Counter[str] = Counter()
"""What the processes were told, over all examples."""


def act_out(states: Sequence[str], cast: Sequence[Program], turns: Sequence[tuple[int, int]] | None) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "q", Path(folder) / "log"
        begun = prepare(path, states)
        codes, all_met = play(cast, path, log, turns)
        assert all(code in (0, -9) for code in codes), codes
        met["killed"] += codes.count(-9)
        with_all_ended(path, log, begun)
    return all_met


def with_all_ended(path: Path, log: Path, begun: dict[str, Any]) -> None:
    spool = Spool(path, durability="relaxed")
    try:
        spool.rescue()
        findings = [str(finding) for finding in check(spool) if finding.level == "fail"]
        assert findings == []
        assert one_place_each(path)
        for id, calls in read_calls(log).items():
            met.update(f"{call.verb} {call.answer}" for call in calls)
            end = found_at_the_end(spool, id)
            said = "\n".join(map(str, calls))
            assert explain(calls, begun[id], end) is not None, f"no order explains that {id} is {end}:\n{begun[id]}\n{said}"
        assert os.listdir(path / "claimed") == []
        assert not any(spool.locks.alive(name) for name in os.listdir(path / ".jobqueue" / "locks"))
    finally:
        spool.close()


def one_place_each(path: Path) -> bool:
    roots = [path / name for name in ("pending", "claimed", "done", "failed")] + [path / ".jobqueue" / "trash"]
    names = Counter(name for root in roots for _, _, names in os.walk(root) for name in names if name.endswith(".json"))
    return set(names) <= {id + ".json" for id in IDS} and all(number == 1 for number in names.values())


@settings(DEFAULT)
@given(beginnings, casts, turns)
def test_processes_that_take_turns_are_told_what_some_order_explains(
    states: list[str], cast: list[Program], turns: list[tuple[int, int]]
) -> None:
    """A failure is made as small as it gets, and comes back each time."""
    act_out(states, cast, turns)


@settings(DEFAULT, phases=(Phase.generate,))
@given(beginnings, casts)
def test_processes_at_the_same_time_are_told_what_some_order_explains(states: list[str], cast: list[Program]) -> None:
    act_out(states, cast, None)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_for_minutes_processes_are_told_what_some_order_explains() -> None:
    many = settings(DEFAULT, max_examples=2000, derandomize=False, phases=(Phase.generate,))
    many(given(beginnings, casts, turns)(lambda states, cast, turns: act_out(states, cast, turns)))()
    many(given(beginnings, casts)(lambda states, cast: act_out(states, cast, None)))()


# -- one process does all of its part at each step of another

FAILS_AND_GOES_ON = (("claim", 1), ("finish", "failed"), ("claim", 1), ("finish", "done"))
PARTS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "work": FAILS_AND_GOES_ON,
    "snooze": (("claim", 1), ("finish", "snoozed"), ("claim", 1)),
    "done": (("claim", 1), ("finish", "done")),
    "fail": (("claim", 1), ("finish", "failed")),
    **{verb: (("change", verb, 0), ("look", 0)) for verb in ("cancel", "retry", "purge", "delete")},
    "purge and restore": (("change", "purge", 0), ("change", "restore", 0)),
    "rescue": (("rescue",), ("look", 0)),
}
DUELS = (
    ("pending", "work", "cancel"),
    ("pending", "done", "fail"),
    ("pending", "cancel", "cancel"),
    ("pending", "cancel", "work"),
    ("pending", "delete", "work"),
    ("done", "retry", "purge"),
    ("done", "purge", "retry"),
)
ALL_DUELS = [(begun, one, other) for begun in ("pending", "done", "failed") for one in PARTS for other in PARTS]


def meet_at_each_step(begun: str, one: str, other: str, *, killed: bool = False) -> int:
    """How many meetings there were: as many as the one takes steps."""
    for step in range(500):
        cast = [Program(PARTS[one], step if killed else None), Program(PARTS[other])]
        if not act_out([begun], cast, [(0, step), (1, 1000)]) and step > 0:
            return step
    raise AssertionError("it takes steps without an end")


@pytest.mark.parametrize(("begun", "one", "other"), DUELS, ids=["-".join(duel) for duel in DUELS])
def test_at_each_step_of_one_another_does_all_of_its_part(begun: str, one: str, other: str) -> None:
    assert meet_at_each_step(begun, one, other) > 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("killed", [False, True], ids=["lives", "killed"])
def test_whatever_two_do_at_each_step_of_one_the_other_does_its_part(killed: bool) -> None:
    for begun, one, other in ALL_DUELS:
        meet_at_each_step(begun, one, other, killed=killed)
