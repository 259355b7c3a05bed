"""Several processes at one queue at the same time, some of them killed: some order explains all that they were told."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jobqueue.store.check import check
from jobqueue.store.spool import Spool

from .concurrent import IDS, Program, found_at_the_end, play, prepare, read_calls
from .history import explain

mostly_one = st.sampled_from([0, 0, 0, 1])
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
    st.lists(parts, min_size=1, max_size=4),
    st.none() | st.integers(0, 40),
)
casts = st.lists(programs, min_size=2, max_size=3)
beginnings = st.lists(st.sampled_from(["pending", "done", "failed"]), min_size=1, max_size=2)
turns = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), max_size=25)
DEFAULT = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), print_blob=False, max_examples=100
)
met: Counter[str] = Counter()
"""What the processes were told, over all examples."""


def act_out(states: Sequence[str], cast: Sequence[Program], turns: Sequence[tuple[int, int]] | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "q", Path(folder) / "log"
        begun = prepare(path, states)
        codes = play(cast, path, log, turns)
        assert all(code in (0, -9) for code in codes), codes
        met["killed"] += codes.count(-9)
        with_all_ended(path, log, begun)


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
    act_out(states, cast, turns)


@settings(DEFAULT, phases=(Phase.generate,))
@given(beginnings, casts)
def test_processes_at_the_same_time_are_told_what_some_order_explains(states: list[str], cast: list[Program]) -> None:
    act_out(states, cast, None)
