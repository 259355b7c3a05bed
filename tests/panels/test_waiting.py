"""The order of what waits, and how old it is: what sorting all of it anew says, whatever came and went."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest

from jobqueue.model.names import stamp
from jobqueue.panels import waiting as waiting_module
from jobqueue.panels.ordered import Ordered
from jobqueue.panels.waiting import Waiting, made_at

START = datetime(2026, 11, 1, tzinfo=timezone.utc)


def some_id(draw: random.Random) -> str:
    if draw.random() < 0.2:
        return f"dropped-{draw.randrange(40)}"
    at = stamp(START + timedelta(seconds=draw.randrange(300)))
    return f"{draw.choice([0, 10, 20]):02}-{at}{draw.choice(['', '', 'd'])}-{draw.randrange(3):08x}"


@pytest.mark.parametrize("seed", range(20))
def test_it_is_what_all_that_waits_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "SLACK", 5)
    draw = random.Random(seed)
    here = {some_id(draw) for _ in range(30)}
    waiting = Waiting(here)
    for number in range(400):
        id = draw.choice(sorted(here)) if here and draw.random() < 0.5 else some_id(draw)
        if id in here:
            here.remove(id)
            waiting.drop(id)
        else:
            here.add(id)
            waiting.add(id)
        if number % 7 == 0:
            ours = sorted(id for id in here if not id.startswith("dropped"))
            delayed = [id for id in ours if "d" in id[:25]]
            due = sorted(made_at(id) for id in ours if id not in delayed)
            now = START + timedelta(seconds=draw.randrange(300))
            assert (list(waiting), set(waiting.strangers)) == (ours, {id for id in here if id.startswith("dropped")})
            assert waiting.delayed(now) == sum(made_at(id) > stamp(now) for id in delayed)
            oldest = waiting.oldest_due(here)
            assert (None if oldest is None else stamp(oldest)) == (due[0] if due else None)
            assert len(waiting.due) <= 2 * len(ours) + 5


@pytest.mark.parametrize("descending", [False, True])
def test_an_order_is_kept_while_ids_come_and_go(descending: bool) -> None:
    draw = random.Random(3)
    keys = {f"{number:03}": draw.randrange(20) for number in range(100)}
    ordered = Ordered(keys, lambda id: (keys[id], id), descending)
    for _ in range(300):
        id = f"{draw.randrange(150):03}"
        if id in keys:
            ordered.remove(id)
            del keys[id]
        else:
            keys[id] = draw.randrange(20)
            ordered.add(id)
        right = sorted(keys, key=lambda id: (keys[id], id), reverse=descending)
        assert (list(ordered), len(ordered), id in ordered) == (right, len(right), id in keys)
        start = draw.randrange(-5, 120)
        for part in (slice(start, start + 30), slice(None), slice(None, None, 7), slice(start, None)):
            assert ordered[part] == right[part]
        assert (ordered[0], ordered[-1]) == (right[0], right[-1])
