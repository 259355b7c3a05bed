"""The order in memory, against a simple sorted list."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jobqueue.store.index import Index
from jobqueue.store.layout import order_key

NAMES = [
    f"{priority:02}-20261122T06150000000{second}-0000000{priority % 10}.json"
    for priority in (0, 5, 10, 99)
    for second in range(4)
]
DELAYED = [f"10-20261122T06150000000{second}d-0000000{second}.json" for second in range(5)]
FOREIGN = ["a.json", "b.json", "z.json", "10-x.json"]
STAMPS = [f"20261122T06150000000{second}" for second in range(7)]
REASONS = ["pause", "type", "skip"]


class AgainstAList(RuleBasedStateMachine):
    """The model: for each known name its key, and what it waits for (nothing, a time, a reason, or to be looked at)."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.keys: dict[str, str] = {}
        self.waits: dict[str, Any] = {}
        self.now = STAMPS[0]
        self.came_back: set[str] = set()

    def model_add(self, name: str) -> None:
        if name in self.keys:
            return
        if name in FOREIGN:
            self.keys[name], self.waits[name] = "", "look"
        else:
            self.keys[name] = name
            self.waits[name] = ("time", name[3:24]) if name in DELAYED else None

    def model_forget(self, name: str) -> None:
        if self.keys.pop(name, None) is not None:
            self.came_back.add(name)
        self.waits.pop(name, None)

    @rule(name=st.sampled_from(NAMES + DELAYED + FOREIGN))
    def add(self, name: str) -> None:
        self.index.add(name)
        self.model_add(name)

    @rule(names=st.sets(st.sampled_from(NAMES + DELAYED + FOREIGN)))
    def list_all(self, names: set[str]) -> None:
        self.index.replace_all(names)
        for gone in set(self.keys) - names:
            self.model_forget(gone)
        for name in names:
            self.model_add(name)

    @rule(name=st.sampled_from(NAMES + DELAYED + FOREIGN))
    def forget(self, name: str) -> None:
        self.index.forget(name)
        self.model_forget(name)

    @rule(name=st.sampled_from(NAMES + DELAYED + FOREIGN))
    def look_again(self, name: str) -> None:
        changed = name in self.keys
        self.index.look_again(name)
        self.model_forget(name)
        self.model_add(name)
        if changed and name in DELAYED:  # its file may say another time by now
            self.waits[name] = None

    @rule(most=st.integers(0, 3))
    def doubt(self, most: int) -> None:
        self.index.doubt(most)
        self.came_back |= self.keys.keys() & set(DELAYED)

    @rule(most=st.integers(0, 3), priority=st.integers(0, 99))
    def meet(self, most: int, priority: int) -> None:
        taken = self.index.take_strange(most)
        strange = {name for name, wait in self.waits.items() if wait == "look"}
        assert set(taken) <= strange
        assert len(taken) == min(most, len(strange))
        for name in taken:
            key = order_key(priority, STAMPS[0], name)
            self.index.place(name, key)
            self.keys[name], self.waits[name] = key, None

    @rule(stamp=st.sampled_from(STAMPS))
    def time_goes_on(self, stamp: str) -> None:
        self.now = max(self.now, stamp)
        self.index.wake(self.now)
        for name, wait in self.waits.items():
            if isinstance(wait, tuple) and wait[1] <= self.now:
                self.waits[name] = None

    @rule(then=st.sampled_from(["forget", "delay", "hold"]), stamp=st.sampled_from(STAMPS), reason=st.sampled_from(REASONS))
    def pop(self, then: str, stamp: str, reason: str) -> None:
        name = self.index.pop()
        ready = sorted((self.keys[name], name) for name, wait in self.waits.items() if wait is None)
        if name is None:
            assert not ready
            return
        # A name that was forgotten and came back may be given once too often: it is looked at, and waits again.
        assert self.waits[name] != "look"
        assert not ready or (self.keys[name], name) <= ready[0]
        assert self.waits[name] is None or name in self.came_back
        if then == "forget":
            self.index.forget(name)
            self.model_forget(name)
        elif then == "delay":
            self.index.delay(name, stamp)
            self.waits[name] = ("time", stamp)
        else:
            self.index.hold(name, reason)
            self.waits[name] = reason

    @rule(reason=st.sampled_from(REASONS))
    def release(self, reason: str) -> None:
        self.index.release(reason)
        for name, wait in self.waits.items():
            if wait == reason:
                self.waits[name] = None

    @invariant()
    def knows_the_same(self) -> None:
        assert self.index.keys == self.keys
        assert len(self.index) == len(self.keys)
        assert set(self.index.strange) == {name for name, wait in self.waits.items() if wait == "look"}

    @invariant()
    def next_time_is_never_missed(self) -> None:
        times = [wait[1] for wait in self.waits.values() if isinstance(wait, tuple)]
        found = self.index.next_time()
        assert not times or (found is not None and found <= min(times))


AgainstAList.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstAList = AgainstAList.TestCase


def test_a_thousand_names_that_cannot_run_hide_none_that_can() -> None:
    index = Index()
    index.replace_all([f"00-20261122T061500{number:06}-00000000.json" for number in range(1000)])
    last = "99-20261122T061500000000-00000000.json"
    index.add(last)
    seen = []
    while (name := index.pop()) is not None:
        seen.append(name)
        index.hold(name, "type")
    assert len(seen) == 1001
    assert seen[-1] == last
    index.release("type")
    assert index.pop() == seen[0]


def test_a_name_that_was_forgotten_too_early_comes_back_when_released() -> None:
    index = Index()
    for name in ("a.json", NAMES[0]):
        index.add(name)
        index.forget(name)
        index.keep(name, "skip")
    assert index.pop() is None
    index.release("skip")
    assert {index.pop(), index.pop()} == {"a.json", NAMES[0]}


def test_the_order_is_priority_then_time() -> None:
    index = Index()
    names = [
        "10-20261122T061500000001-00000000.json",
        "05-20261122T061500000002-00000000.json",
        "10-20261122T061500000000-ffffffff.json",
        "00-20261122T061500000009-00000000.json",
    ]
    index.replace_all(names)
    assert index.order() == sorted(names)
    assert [index.pop() for _ in names] == sorted(names)


def test_a_delayed_name_is_opened_once_in_a_while_before_its_time() -> None:
    index = Index()
    index.replace_all([*DELAYED, NAMES[0]])
    index.forget(DELAYED[4])
    assert [index.pop(), index.pop()] == [NAMES[0], None]
    index.doubt(3)
    early = {index.pop() for _ in range(3)}
    assert early < set(DELAYED[:4])
    assert index.pop() is None
    index.doubt(3)
    assert early | {index.pop()} == set(DELAYED[:4])
    index.doubt(3)
    assert index.pop() is None, "each is opened once"
