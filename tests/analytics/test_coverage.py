"""Which subjects are new, processed, or need a re-run: by hand, by real workers, and against a plain reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue import JobContext, Queue, Worker, analytics, handler
from jobqueue.analytics.coverage import RUN, Coverage, judge, runs_of
from jobqueue.analytics.schema import ATTEMPTS
from jobqueue.errors import InvalidJob
from jobqueue.queue.handler import handler_of
from jobqueue.store.base import WorkerInfo

BROKEN: set[str] = set()
COMMITS = ["c1", "c2", "c3"]


@handler(type="cards", subject="commit", pipeline_version="v1")
def cards(commit: str) -> str:
    if commit in BROKEN:
        raise ValueError(commit)
    return commit


@handler(type="cards", subject="{commit}", pipeline_version="v2")
def cards_v2(commit: str) -> str:
    return commit.upper()


@handler(type="plain", subject="{owner}/{repo}")
def plain(owner: str, repo: str) -> str:
    return owner


@handler(type="plain", subject="{owner}/{repo}")
def plain_changed(owner: str, repo: str) -> str:
    return repo


@handler(type="tracks", pipeline_version="v1")
def tracks(commits: list[str], ctx: JobContext) -> int:
    return sum(1 for _ in ctx.track(commits, key=str)) + sum(1 for _ in ctx.track(["other"], key=str, name="others"))


@pytest.fixture(params=["folder", "memory"])
def queue(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Queue]:
    BROKEN.clear()
    with Queue(tmp_path / "q" if request.param == "folder" else ":memory:", durability="relaxed") as made:
        yield made


def run(queue: Queue, function: Any, *payloads: dict[str, Any]) -> None:
    queue.enqueue_many(handler_of(function).type, payloads, max_attempts=1)
    Worker(queue, [function]).run(drain=True)


def statuses(seen: Coverage) -> dict[Any, str]:
    return dict(zip(seen.frame["subject"], seen.frame["status"], strict=True))


# -- the three


def test_nothing_ran_so_all_is_new(queue: Queue) -> None:
    seen = analytics.coverage(queue, COMMITS, cards)
    assert (seen.summary, seen.asked) == ("3 new, 0 already processed, 0 needs re-run", "v1")
    assert (seen.todo, seen.counts) == (COMMITS, {"new": 3, "processed": 0, "needs_rerun": 0})
    assert list(seen.frame.columns) == ["subject", "status", *RUN]
    assert seen.frame["job"].isna().all()


def test_what_is_done_at_this_version_is_processed_and_at_another_needs_a_rerun(queue: Queue) -> None:
    run(queue, cards, {"commit": "c1"}, {"commit": "c2"})
    run(queue, cards_v2, {"commit": "c2"})

    first, second = analytics.coverage(queue, COMMITS, cards), analytics.coverage(queue, COMMITS, cards_v2)

    assert statuses(first) == {"c1": "processed", "c2": "processed", "c3": "new"}
    assert statuses(second) == {"c1": "needs_rerun", "c2": "processed", "c3": "new"}
    assert second.summary == "1 new, 1 already processed, 1 needs re-run"
    assert second.todo == ["c1", "c3"]
    assert list(second.frame["version"].astype("str").fillna("-")) == ["v1", "v2", "-"]
    queue.purge()
    assert analytics.coverage(queue, COMMITS, cards_v2).summary == second.summary


def test_how_the_last_good_run_of_a_subject_went(queue: Queue) -> None:
    run(queue, cards, {"commit": "c1"})
    BROKEN.add("c1")
    run(queue, cards, {"commit": "c1"})
    first, second = analytics.attempts(queue).to_dict("records")
    told, new = analytics.coverage(queue, COMMITS[:2], cards).frame.to_dict("records")
    assert second["outcome"] == "failed"
    assert {name: told[name] for name in RUN} == {name: first[column] for name, column in RUN.items()}
    assert (told["attempt"], told["worker"].startswith("worker"), told["run"] > pd.Timedelta(0)) == (1, True, True)
    assert all(pd.isna(new[name]) for name in RUN)
    run(queue, tracks, {"commits": ["c1"]})
    (item,) = analytics.items(queue, track="items").to_dict("records")
    (told,) = analytics.coverage(queue, ["c1"], tracks).frame.to_dict("records")
    assert pd.isna(told.pop("worker"))
    assert {name: told[name] for name in RUN if name in told} == {name: item.get(name) for name in RUN if name != "worker"}


def test_a_subject_whose_last_run_failed_is_new(queue: Queue) -> None:
    run(queue, cards, {"commit": "c1"})
    BROKEN.add("c1")
    run(queue, cards, {"commit": "c1"})
    assert statuses(analytics.coverage(queue, ["c1"], cards)) == {"c1": "new"}
    BROKEN.clear()
    run(queue, cards, {"commit": "c1"})
    assert statuses(analytics.coverage(queue, ["c1"], cards)) == {"c1": "processed"}


def test_other_source_code_needs_a_rerun_where_there_is_no_version(queue: Queue) -> None:
    run(queue, plain, {"owner": "octo", "repo": "cat"})
    assert statuses(analytics.coverage(queue, ["octo/cat"], plain)) == {"octo/cat": "processed"}
    assert statuses(analytics.coverage(queue, ["octo/cat"], plain_changed)) == {"octo/cat": "needs_rerun"}


def test_items_of_a_loop_are_subjects_too(queue: Queue) -> None:
    run(queue, tracks, {"commits": ["c1", "c2"]})
    assert analytics.coverage(queue, COMMITS, tracks).summary == "1 new, 2 already processed, 0 needs re-run"
    assert analytics.coverage(queue, COMMITS, tracks, version="v9").summary == "1 new, 0 already processed, 2 needs re-run"
    assert statuses(analytics.coverage(queue, ["other", "c1"], "tracks", track="others")) == {"other": "processed", "c1": "new"}


# -- which version


def test_the_version_comes_from_the_caller_the_handler_a_live_worker_or_the_last_run(queue: Queue) -> None:
    run(queue, cards, {"commit": "c1"})
    assert analytics.coverage(queue, COMMITS, cards_v2, version="v0").asked == "v0"
    assert analytics.coverage(queue, COMMITS, cards_v2).asked == "v2"
    assert analytics.coverage(queue, COMMITS, "cards").asked == "v1"
    started = queue.clock.now()
    owner = queue.store.join(WorkerInfo(owner="w", host="here", pid=1, started_at=started, versions={"cards": "v3"}))
    assert analytics.coverage(queue, COMMITS, "cards").asked == "v3"
    queue.store.leave(owner)
    assert analytics.coverage(queue, COMMITS, "cards").asked == "v1"
    assert analytics.coverage(queue, COMMITS, "nothing").asked is None


# -- doing what is to do


def test_what_is_to_do_is_enqueued_and_force_does_it_all(queue: Queue) -> None:
    run(queue, cards, {"commit": "c1"})
    seen = analytics.coverage(queue, COMMITS, "cards")
    with pytest.raises(InvalidJob, match="say what its payload is"):
        seen.enqueue()
    made = seen.enqueue(lambda commit: {"commit": commit}, project="p1")
    assert [(job.payload["commit"], job.project) for job in made] == [("c2", "p1"), ("c3", "p1")]
    Worker(queue, [cards]).run(drain=True)
    assert analytics.coverage(queue, COMMITS, cards).todo == []
    assert len(analytics.coverage(queue, COMMITS, cards).enqueue(lambda commit: {"commit": commit})) == 0
    forced = analytics.coverage(queue, COMMITS, "cards").enqueue(lambda commit: {"commit": commit}, force=True)
    assert [job.payload["commit"] for job in forced] == COMMITS


@pytest.mark.parametrize("function", [cards, cards_v2])
def test_the_payload_is_plain_where_the_subject_is_an_argument(function: Any) -> None:
    with Queue(":memory:") as queue:
        made = analytics.coverage(queue, COMMITS, function).enqueue()
        assert [job.payload for job in made] == [{"commit": commit} for commit in COMMITS]
        with pytest.raises(InvalidJob, match="say what its payload is"):
            analytics.coverage(queue, ["octo/cat"], plain).enqueue()


def test_a_version_that_was_asked_for_goes_into_the_jobs(queue: Queue) -> None:
    made = analytics.coverage(queue, ["c1"], "cards", version="v7").enqueue(lambda commit: {"commit": commit})
    assert made[0].pipeline_version == "v7"


def test_a_key_keeps_what_waits_from_being_made_twice(queue: Queue) -> None:
    def again() -> list[str]:
        seen = analytics.coverage(queue, COMMITS, "cards")
        return [job.outcome for job in seen.enqueue(lambda commit: {"commit": commit}, idempotency_key=True)]

    assert (again(), again()) == (["created"] * 3, ["exists"] * 3)
    BROKEN.update(COMMITS)
    Worker(queue, [cards]).run(drain=True)
    queue.retry(status="failed")
    assert again() == ["exists"] * 3
    queue.cancel(status="pending")
    assert again() == ["created"] * 3, "the key of a finished job is free"


# -- subjects and looks


def test_subjects_are_any_column_and_count_once(queue: Queue) -> None:
    run(queue, cards, {"commit": "7"})
    seen = analytics.coverage(queue, pd.Series([7, 8, 7]), "cards")
    assert (seen.todo, len(seen), statuses(seen)) == ([8], 2, {7: "processed", 8: "new"})
    assert analytics.coverage(queue, [7, "7"], "cards").summary == "0 new, 1 already processed, 0 needs re-run"
    assert analytics.coverage(queue, [], "cards").summary == "0 new, 0 already processed, 0 needs re-run"
    assert analytics.coverage(queue, pd.DataFrame({"n": [1, 2], "commit": ["7", "9"]}), cards).todo == ["9"]
    with pytest.raises(InvalidJob, match="is one text; give a list"):
        analytics.coverage(queue, "c1", "cards")
    with pytest.raises(InvalidJob, match="one is missing"):
        analytics.coverage(queue, ["c1", float("nan")], "cards")


def test_it_looks_like_a_list_with_badges(queue: Queue) -> None:
    run(queue, cards, {"commit": "c1"})
    run(queue, cards_v2, {"commit": "<b>"})
    seen = analytics.coverage(queue, ["c1", "<b>", *(f"n{number}" for number in range(30))], "cards")
    assert repr(seen) == "<Coverage of cards at v2: 30 new, 1 already processed, 1 needs re-run>"
    html = seen._repr_html_()
    assert html.startswith("<p>30 new, 1 already processed, 1 needs re-run</p>")
    assert [html.count(badge) for badge in ("🆕 New", "✅ Processed", "🔄 Needs Re-run")] == [18, 1, 1]
    assert ("<b>" in html, "and 12 more" in html) == (False, True)


# -- against a plain reference

OUTCOMES = ("done", "failed", "crashed", "cancelled", "snoozed", "released")
words = map(st.sampled_from, (["cards", "scan"], "abc", OUTCOMES, ["v1", "v2"]))
runs = st.lists(st.tuples(*words))


def reference(history: list[tuple[str, str, str, str]], subject: str, version: str) -> str:
    mine = [(outcome, at) for type, about, outcome, at in history if type == "cards" and about == subject]
    told = [(outcome, at) for outcome, at in mine if outcome in ("done", "failed", "crashed")]
    if not told or told[-1][0] != "done":
        return "new"
    return "processed" if ("done", version) in told else "needs_rerun"


@given(runs)
def test_any_history_is_judged_as_a_plain_loop_would(history: list[tuple[str, str, str, str]]) -> None:
    columns = {name: [run[number] for run in history] for number, name in enumerate(("type", "subject", "outcome", "version"))}
    ids = [str(n) for n in range(len(history))]
    frame = pd.DataFrame({**columns, "job": ids, "attempt": 1}, columns=list(dict.fromkeys([*columns, *RUN.values()])))
    frame["finished_at"] = pd.date_range("2026-11-22", periods=len(history), freq="s", tz="UTC")
    frame = frame.astype({name: ATTEMPTS[name] for name in frame.columns})
    found = judge(list("abcd"), runs_of(frame, "cards"), "v2")
    assert list(found["status"]) == [reference(history, subject, "v2") for subject in "abcd"]
    good = {run[1]: str(n) for n, run in enumerate(history) if run[0] == "cards" and run[2] == "done"}
    assert [None if pd.isna(job) else job for job in found["job"]] == [good.get(subject) for subject in "abcd"]
