from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.model.control import Control, Pause
from jobqueue.model.gate import RUN, judge
from jobqueue.model.job import Job

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
PAUSE = Pause(by="ann", at=NOON, reason="disk full")
NOTHING_SAID = Control()
HOUR = timedelta(hours=1)


def verdict(control=NOTHING_SAID, types=None, parents=None, now=NOON, **fields):
    job = Job(id="child", type="scan", **fields)
    return judge(job, now, control=control, types=types, parent_state=lambda id: (parents or {})[id])


def test_a_plain_job_runs():
    assert verdict() == RUN
    assert verdict(types={"scan"}) == RUN


def test_an_expired_job_ends():
    told = verdict(expires_at=NOON - HOUR)

    assert told.action == "end"
    assert told.error is not None
    assert told.error.reason == "expired"
    assert told.why == told.error.message == "expired 1 h ago, before a worker was free"
    assert verdict(expires_at=NOON).action == "end"
    assert verdict(expires_at=NOON + timedelta(microseconds=1)) == RUN


def test_a_paused_queue_holds_every_job_and_says_who_why_and_since():
    told = verdict(Control(paused=PAUSE))

    assert (told.action, told.hold) == ("hold", "pause")
    assert told.why == "the queue is paused by ann since 2026-11-22 12:00 UTC: disk full"


def test_a_paused_type_holds_its_own_jobs():
    assert verdict(Control(paused_types={"mail": PAUSE})) == RUN

    told = verdict(Control(paused_types={"scan": PAUSE}))

    assert (told.action, told.hold) == ("hold", "pause")
    assert told.why.startswith("the type 'scan' is paused by ann")


def test_a_type_that_is_not_served_here_is_held():
    told = verdict(types={"mail"})

    assert (told.action, told.hold) == ("hold", "type")
    assert told.why == "the type 'scan' is not served here"
    assert verdict(types=set()).hold == "type"


def test_a_job_waits_for_its_time():
    told = verdict(run_after=NOON + 2 * HOUR)

    assert (told.action, told.until, told.why) == ("wait", NOON + 2 * HOUR, "due in 2 h")
    assert verdict(run_after=NOON) == RUN
    assert verdict(run_after=NOON - HOUR) == RUN


def test_a_child_is_held_until_all_its_parents_have_finished():
    assert verdict(after=("a", "b"), parents={"a": "done", "b": "done"}) == RUN

    told = verdict(after=("a", "b"), parents={"a": "done", "b": "waiting"})

    assert told.action == "hold"
    assert told.hold.startswith("parent")
    assert told.why == "waits for b, which has not finished"


@pytest.mark.parametrize(("state", "word"), [("failed", "failed"), ("gone", "is gone")])
def test_what_a_parents_failure_means_is_for_the_child_to_say(state, word):
    skipped = verdict(after=("a",), parents={"a": state})
    failed = verdict(after=("a",), parents={"a": state}, on_parent_failure="fail")

    assert (skipped.action, failed.action) == ("end", "end")
    assert skipped.error is not None
    assert failed.error is not None
    assert (skipped.error.reason, failed.error.reason) == ("skipped", "parent_failed")
    assert skipped.why == skipped.error.message == f"a, which this job waits for, {word}"
    assert verdict(after=("a",), parents={"a": state}, on_parent_failure="run") == RUN


def test_a_child_that_runs_anyway_still_waits_for_the_others():
    told = verdict(after=("a", "b"), parents={"a": "failed", "b": "waiting"}, on_parent_failure="run")

    assert told.action == "hold"


def test_parents_are_asked_for_only_where_nothing_else_holds_a_job():
    unknown = {}

    assert verdict(Control(paused=PAUSE), after=("a",), parents=unknown).hold == "pause"
    assert verdict(run_after=NOON + HOUR, after=("a",), parents=unknown).action == "wait"


def test_the_first_reason_in_the_order_of_the_list_is_told():
    everything = {"expires_at": NOON, "run_after": NOON + HOUR, "after": ("a",), "types": {"mail"}, "parents": {"a": "waiting"}}
    paused = Control(paused=PAUSE, paused_types={"scan": PAUSE})

    assert verdict(paused, **everything).action == "end"
    everything["expires_at"] = None
    assert verdict(paused, **everything).why.startswith("the queue is paused")
    assert verdict(Control(paused_types={"scan": PAUSE}), **everything).why.startswith("the type 'scan' is paused")
    assert verdict(**everything).hold == "type"
    everything["types"] = None
    assert verdict(**everything).action == "wait"
    everything["run_after"] = None
    assert verdict(**everything).hold.startswith("parent")


SECONDS = st.none() | st.integers(-100, 100).map(lambda seconds: NOON + timedelta(seconds=seconds))


@given(
    run_after=SECONDS,
    expires_at=SECONDS,
    paused=st.booleans(),
    types=st.none() | st.sets(st.sampled_from(["scan", "mail"])),
    states=st.lists(st.sampled_from(["waiting", "done", "failed", "gone"]), max_size=3),
    on_parent_failure=st.sampled_from(["skip", "run", "fail"]),
)
def test_a_job_runs_exactly_where_nothing_forbids_it(run_after, expires_at, paused, types, states, on_parent_failure):
    parents = {f"parent-{number}": state for number, state in enumerate(states)}

    told = verdict(
        Control(paused=PAUSE if paused else None),
        types,
        parents,
        run_after=run_after,
        expires_at=expires_at,
        after=tuple(parents),
        on_parent_failure=on_parent_failure,
    )

    allowed = {"done", "failed", "gone"} if on_parent_failure == "run" else {"done"}
    assert (told.action == "run") == (
        (expires_at is None or expires_at > NOON)
        and not paused
        and (types is None or "scan" in types)
        and (run_after is None or run_after <= NOON)
        and allowed.issuperset(states)
    )
    assert (told.error is not None) == (told.action == "end")
    assert (told.until is not None) == (told.action == "wait")
    assert bool(told.hold) == (told.action == "hold")
    assert bool(told.why) == (told.action != "run")
