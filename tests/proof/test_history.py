"""The checker of histories is itself checked: what could have happened is explained, and what is wrong is refused."""

from __future__ import annotations

from typing import Any

import pytest

from .history import Call, State, explain

PENDING = State("pending")
DONE = State("done", attempts=1, ended="done", lines=((1, "done"),))
FAILED = State("failed", attempts=1, ended="failed", lines=((1, "failed"),))


def calls(*texts: str) -> list[Call]:
    """`0 1-2 finish ok done`: process 0 made the call at 1 and was answered at 2; `0 1- cancel` was killed in it."""
    made = []
    for text in texts:
        process, times, verb, *rest = text.split()
        begin, _, over = times.partition("-")
        answer, detail = (*rest, "", "")[:2]
        made.append(Call(int(process), verb, int(begin), int(over) if over else None, answer, detail))
    return made


def told(status: str, attempts: int = 0, history: tuple[str, ...] = (), ended: str = "", *lines: tuple[int, str]) -> Any:
    return (status, attempts, history, ended, tuple(sorted(lines)))


CANCELLED = told("failed", 0, (), "cancelled")
ONCE = told("done", 1, (), "done", (1, "done"))
RETRIED = told("pending", 0, ("done",), "", (1, "done"))

RIGHT = {
    "ended by a claimer that had it in its hands for a moment": (
        PENDING,
        calls("0 1-2 cancel cancelling"),
        told("failed", 0, (), "cancelled"),
    ),
    "one wins a claim": (PENDING, calls("0 1-5 claim got", "0 6-7 finish ok done", "1 1-9 status status done"), ONCE),
    "a cancel and a claim at once": (
        PENDING,
        calls("0 1-5 claim got", "0 6-7 finish ok done", "1 2-4 cancel cancelling"),
        ONCE,
    ),
    "a cancel sees the other one": (PENDING, calls("0 1-5 cancel changed", "1 2-6 cancel refused failed"), CANCELLED),
    "a killed claim that happened": (PENDING, calls("0 1- claim"), told("pending", 1, ("crashed",), "", (1, "crashed"))),
    "a killed claim that did not": (PENDING, calls("0 1- claim"), PENDING.told()),
    "a killed finish that was recorded": (PENDING, calls("0 1-2 claim got", "0 3- finish - done"), ONCE),
    "a killed cancel": (PENDING, calls("0 1- cancel"), CANCELLED),
    "a killed retry is undone": (DONE, calls("0 1- retry", "1 5-6 status status claimed"), DONE.told()),
    "a purge that was restored": (DONE, calls("0 1-2 purge changed", "1 3-4 restore changed"), DONE.told()),
    "a job put twice": (State("absent"), calls("0 1-9 put created", "1 1-9 put exists"), PENDING.told()),
    "a cancel that was too late for this attempt": (
        PENDING,
        calls("0 1-2 claim got", "1 3-4 cancel cancelling", "0 5-6 finish ok failed"),
        told("failed", 1, ("failed",), "cancelled", (1, "failed")),
    ),
}
WRONG = {
    "two win a claim": (PENDING, calls("0 1-9 claim got", "1 1-9 claim got"), ONCE),
    "two cancel it": (PENDING, calls("0 1-9 cancel changed", "1 1-9 cancel changed"), CANCELLED),
    "two retry it once": (DONE, calls("0 1-9 retry changed", "1 1-9 retry changed"), RETRIED),
    "lost": (PENDING, calls("0 1-2 claim got"), told("absent")),
    "an enqueue forgotten": (State("absent"), calls("0 1-2 put created"), told("absent")),
    "two made of one": (State("absent"), calls("0 1-9 put created", "1 1-9 put created"), PENDING.told()),
    "a purge undone": (DONE, calls("0 1-2 purge changed"), DONE.told()),
    "a purged job seen later": (DONE, calls("0 1-2 purge changed", "1 3-4 status status done"), told("trash", 1, (), "done")),
    "run after a cancel": (PENDING, calls("0 1-2 cancel changed", "1 3-4 claim got", "1 5-6 finish ok done"), ONCE),
    "claimed before and after a cancel was asked": (
        PENDING,
        calls("0 1-2 claim got", "1 3-4 cancel cancelling", "0 5-6 finish ok failed", "2 7-8 claim got"),
        told("pending", 1, ("failed",), "", (1, "failed")),
    ),
    "done twice": (PENDING, calls("0 1-2 claim got", "0 3-4 finish ok done", "0 5-6 finish ok done"), ONCE),
    "finished by another": (PENDING, calls("0 1-2 claim got", "1 3-4 finish ok done"), ONCE),
    "a crash that was not counted": (PENDING, calls("0 1-2 claim got"), PENDING.told()),
    "a done job that runs again": (PENDING, calls("0 1-2 claim got", "0 3-4 finish ok done", "1 5-6 claim got"), ONCE),
    "taken from one who lives": (
        PENDING,
        calls("0 1-2 claim got", "1 3-4 claim got", "1 5-6 finish ok done", "0 7-8 finish lost done"),
        ONCE,
    ),
    "missing although it is there": (DONE, calls("0 1-2 retry missing"), DONE.told()),
    "refused for what it never was": (DONE, calls("0 1-2 retry refused pending"), DONE.told()),
    "an answer that came before": (DONE, calls("0 1-2 retry changed", "1 3-4 status status done"), RETRIED),
    "an attempt that the journal lacks": (
        PENDING,
        calls("0 1-2 claim got", "0 3-4 finish ok done"),
        told("done", 1, (), "done"),
    ),
    "an attempt twice in the journal": (DONE, [], told("done", 1, (), "done", (1, "done"), (1, "done"))),
    "a retry undone": (FAILED, calls("0 1-2 retry changed"), FAILED.told()),
    "run although a cancel was promised": (
        PENDING,
        calls("0 1-2 cancel cancelling", "1 3-4 claim got", "1 5-6 finish ok done"),
        ONCE,
    ),
    "restored twice": (DONE, calls("0 1-2 purge changed", "0 3-8 restore changed", "1 3-8 restore changed"), DONE.told()),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_could_have_happened_is_explained(name: str) -> None:
    assert explain(RIGHT[name][1], RIGHT[name][0], RIGHT[name][2]) is not None


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_have_happened_is_refused(name: str) -> None:
    assert explain(WRONG[name][1], WRONG[name][0], WRONG[name][2]) is None
