"""Random sequences of everything that programs and people do to a queue, on the real spool, beside a simple reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from jobqueue.model.control import Control, Pause
from jobqueue.store.base import WorkerInfo
from jobqueue.store.check import check
from jobqueue.store.spool import Spool

from .stateful_reference import FINISHED, Known
from .stateful_world import World

which = st.integers(0, 1)
any_job = st.integers(0, 1000)
waits = st.sampled_from([0, 5, 60]).map(lambda seconds: timedelta(seconds=seconds))
outcomes = st.sampled_from(["done", "failed", "final", "snoozed", "released"])
WORDS = "x" * 50


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.ref = self.world.ref
        self.dead: dict[str, bool] = {}

    def teardown(self) -> None:
        self.world.close()

    def pick(self, number: int, *statuses: str) -> Known | None:
        jobs = self.ref.of(*statuses)
        return jobs[number % len(jobs)] if jobs else None

    def put(self, options: dict[str, Any], **expected: Any) -> str:
        number = self.world.next_number()
        job = self.world.making.job("scan", {"n": number, "words": WORDS}, {"max_attempts": 2, **options})
        (put,) = self.world.spools[number % 2].put([job])
        known = self.ref.holder(options.get("idempotency_key"))
        if known is not None:
            assert (put.outcome, put.located.job.id) == ("exists", known.id)
            return known.id
        assert put.outcome == "created"
        self.ref.add(Known(number, put.located.job.id, "scan", most=2, run_after=job.run_after, **expected))
        return job.id

    # -- coming in

    def enqueue(self, priority: int) -> None:
        self.put({"priority": priority})

    def enqueue_with_key(self, key: str) -> None:
        self.put({"idempotency_key": key}, key=key)

    def enqueue_delayed(self, wait: timedelta) -> None:
        self.put({"run_after": self.world.clock.now() + wait})

    def enqueue_after(self, number: int) -> None:
        if (parent := self.pick(number, "pending", "claimed", "done", "failed")) is not None and not parent.broken:
            self.put({"after": [parent.id]}, after=parent.id)

    def enqueue_expiring(self, wait: timedelta) -> None:
        expires_at = self.world.clock.now() + wait
        self.put({"expires_at": expires_at}, expires_at=expires_at)

    def enqueue_alone(self, key: str) -> None:
        self.put({"concurrency_key": key}, alone=key)

    def drop(self, kind: str) -> None:
        number = self.world.next_number()
        record = {"type": "scan", "payload": {"n": number, "words": WORDS}}
        record |= {"maxAttempts": 2, "projectId": "p"} if kind == "camel" else {"max_attempts": 2}
        data = f"broken {number} {{".encode() if kind == "broken" else json.dumps(record).encode()
        self.world.write(f"drop-{number}.json", data)
        self.ref.add(Known(number, f"drop-{number}", "scan", most=2, broken=kind == "broken"))

    # -- workers

    @rule(worker=which, limit=st.integers(1, 3))
    def claim(self, worker: int, limit: int) -> None:
        self.world.join(worker)
        self.world.claim(worker, limit)

    @rule(worker=which, outcome=outcomes, wait=waits, all=st.booleans())
    def finish(self, worker: int, outcome: str, wait: timedelta, all: bool) -> None:
        held = self.world.held[worker]
        numbers = list(held)[: None if all else 1]
        claims = [held.pop(number) for number in numbers]
        decided = [(claim, self.world.decide(worker, claim, outcome, wait)) for claim in claims]
        assert self.world.spools[worker].apply(decided) == [True] * len(claims)
        for number in numbers:
            word = "failed" if outcome == "final" else outcome
            self.ref.attempt(self.ref.jobs[number], word, final=outcome == "final", until=self.world.clock.now() + wait)

    def die(self, worker: int, handed_back: bool) -> None:
        """The kernel lets go of the lock of a process that has ended; all else stays as it was."""
        world = self.world
        owner, world.owners[worker] = world.owners[worker], ""
        if not owner:
            return
        if handed_back:
            world.spools[worker].hand_back(owner)
        world.spools[worker].close()
        world.spools[worker] = world.open()
        dead = [self.ref.jobs[number] for number in world.held[worker]]
        world.held[worker].clear()
        assert sorted(world.spools[1 - worker].rescue()) == sorted(job.id for job in dead)
        for job in dead:
            self.ref.rescued(job, world.clock.now(), handed_back)

    @rule(worker=which, limit=st.integers(1, 3), handed_back=st.booleans())
    def claim_and_die(self, worker: int, limit: int, handed_back: bool) -> None:
        self.claim(worker, limit)
        self.die(worker, handed_back)

    @rule(worker=which)
    def leave(self, worker: int) -> None:
        if self.world.owners[worker] and not self.world.held[worker]:
            self.world.spools[worker].leave(self.world.owners[worker])
            self.world.owners[worker] = ""

    # -- people

    def cancel(self, worker: int, number: int) -> None:
        if (job := self.pick(number, "pending", "claimed", "done", "failed")) is None:
            return
        (change,) = self.world.spools[worker].cancel([job.id])
        if job.status == "claimed":
            assert change.outcome == "cancelling"
            job.asked = True
        elif job.status == "pending" and not job.broken:
            assert change.outcome == "changed"
            self.ref.end(job, "cancelled")
        else:
            assert change.outcome == "refused"

    def retry(self, worker: int, number: int) -> None:
        if (job := self.pick(number, "pending", "claimed", "done", "failed")) is None:
            return
        (change,) = self.world.spools[worker].retry([job.id])
        assert change.outcome == ("changed" if job.status in FINISHED else "refused")
        if job.status in FINISHED:
            self.ref.retried(job)
            self.hint(job)

    def purge(self, worker: int, number: int, pending: bool) -> None:
        job = self.pick(number, "pending", "claimed", "done", "failed")
        if job is None or (job.broken and job.status == "pending"):  # a restored one gets no reason: a known defect
            return
        (change,) = self.world.spools[worker].purge([job.id], pending=pending)
        allowed = (*FINISHED, "pending") if pending else FINISHED
        assert change.outcome == ("changed" if job.status in allowed else "refused")
        if job.status in allowed:
            job.status = "trash"

    def restore(self, worker: int, number: int) -> None:
        if (job := self.pick(number, "trash")) is not None:
            assert self.world.spools[worker].restore([job.id])[0].outcome == "changed"
            job.status = "failed" if job.broken else {None: "pending", "done": "done"}.get(job.ended, "failed")
            self.hint(job)

    def pause_or_resume(self, worker: int) -> None:
        self.ref.paused = not self.ref.paused
        pause = Pause(by="me", at=self.world.clock.now()) if self.ref.paused else None
        self.world.spools[worker].change_control(lambda control: Control(paused=pause))

    def move_back_by_hand(self, number: int) -> None:
        """`mv done/x.json pending/` is a request to run it again."""
        if (job := self.pick(number, "done", "failed")) is not None:
            self.move(job, self.world.path / job.status, self.world.path / "pending")
            job.status = "pending"

    def move_away_and_back(self, number: int) -> None:
        if (job := self.pick(number, "pending")) is not None:
            self.move(job, self.world.path / "pending", self.world.folder)
            self.world.spools[0].claiming.list()
            self.move(job, self.world.folder, self.world.path / "pending")

    def move(self, job: Known, source: Path, target: Path) -> None:
        (source / f"{job.id}.json").rename(target / f"{job.id}.json")
        self.world.tell(f"{job.id}.json")

    def pull_out(self, number: int) -> None:
        if (job := self.pick(number, "claimed")) is not None:
            assert not self.world.pull_out(job), "what was taken away was finished all the same"
            job.status, job.owner = "pending", ""

    def edit(self, number: int, most: int, in_place: bool) -> None:
        if (job := self.pick(number, "pending")) is not None and not job.broken:
            record = json.loads((self.world.path / "pending" / f"{job.id}.json").read_text())
            save = self.world.save_in_place if in_place else self.world.save
            save(job, {key: value for key, value in record.items() if key != "maxAttempts"} | {"max_attempts": most})
            job.most = most

    @rule(wait=waits)
    def time_passes(self, wait: timedelta) -> None:
        self.world.clock.advance(wait)

    # Few rules, so that each comes often: what is chosen from most is what workers do.

    @initialize()
    def begin(self) -> None:
        self.world.join(0)
        self.world.join(1)
        for _ in range(3):
            self.enqueue(10)

    @rule(way=st.integers(0, 6), number=any_job, wait=waits)
    def come_in(self, way: int, number: int, wait: timedelta) -> None:
        if way == 0:
            self.enqueue_with_key(f"k{number % 2}")
        elif way == 1:
            self.enqueue_delayed(wait)
        elif way == 2:
            self.enqueue_after(number)
        elif way == 3:
            self.drop(("plain", "camel", "broken")[number // 7 % 3])
        elif way == 4:
            self.enqueue_expiring(wait)
        elif way == 5:
            self.enqueue_alone(f"c{number % 2}")
        else:
            self.enqueue((0, 10, 99)[number % 3])

    @rule(verb=st.sampled_from(["cancel", "retry", "purge", "restore"]), worker=which, number=any_job)
    def change(self, verb: str, worker: int, number: int) -> None:
        if verb == "purge":
            self.purge(worker, number, pending=number % 2 == 0)
        else:
            getattr(self, verb)(worker, number)

    @rule(number=any_job)
    def ask_to_stop(self, number: int) -> None:
        if (job := self.pick(number, "claimed")) is not None:
            assert self.world.spools[number % 2].cancel([job.id])[0].outcome == "cancelling"
            job.asked = True

    @rule(way=st.integers(0, 4), number=any_job)
    def by_hand(self, way: int, number: int) -> None:
        if way == 0:
            self.move_back_by_hand(number)
        elif way == 1:
            self.move_away_and_back(number)
        elif way == 2:
            self.pull_out(number)
        else:
            self.edit(number, 1 + number % 3, in_place=way == 3)

    @rule(worker=which, chance=st.integers(0, 3))
    def rule_the_queue(self, worker: int, chance: int) -> None:
        """A pause does not last long: nothing happens in it."""
        if self.ref.paused or chance == 0:
            self.pause_or_resume(worker)

    @rule(worker=which, outcome=outcomes, wait=waits)
    def work(self, worker: int, outcome: str, wait: timedelta) -> None:
        self.claim(worker, 3)
        self.finish(worker, outcome, wait, all=True)

    def hint(self, job: Known) -> None:
        self.world.tell(f"{job.id}.json")

    @invariant()
    def all_is_well(self) -> None:
        self.world.check()
        self.world.tick()


DEFAULT = settings(
    max_examples=130,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_whatever_is_done_each_job_is_where_the_reference_says() -> None:
    run_state_machine_as_test(Machine, settings=DEFAULT)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_whatever_is_done_for_minutes_each_job_is_where_the_reference_says() -> None:
    run_state_machine_as_test(Machine, settings=settings(DEFAULT, max_examples=3000, stateful_step_count=80, derandomize=False))


# -- what it found, and what the machine leaves out


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.join(0)
    yield made
    made.close()


def record_of(number: int, **fields: Any) -> bytes:
    return json.dumps({"type": "scan", "payload": {"n": number, "words": WORDS}} | fields).encode()


def run_all(world: World, outcome: str = "done", wait: timedelta = timedelta(0)) -> list[str]:
    world.spools[0].wake()
    claims = world.spools[0].claim(world.owners[0], limit=9)
    world.spools[0].apply([(claim, world.decide(0, claim, outcome, wait)) for claim in claims])
    return [claim.job.id for claim in claims]


def come_back(world: World, id: str) -> list[str]:
    """Cancelled and retried: it may run at once, and no event but the doorbell says so."""
    assert world.spools[0].cancel([id])[0].outcome == "changed"
    assert world.spools[0].retry([id])[0].outcome == "changed"
    return run_all(world)


def test_a_dropped_file_that_ends_gets_a_name_that_no_ended_job_has(world: World) -> None:
    world.write("x.json", record_of(1))
    assert run_all(world) == ["x"]
    world.write("x.json", record_of(2))
    assert world.spools[0].cancel(["x"])[0].outcome == "changed"
    assert [str(finding) for finding in check(world.spools[0]) if finding.level == "fail"] == []


def test_a_delayed_job_that_is_retried_runs_at_once(world: World) -> None:
    (put,) = world.spools[0].put([world.making.job("scan", {"n": 1}, {"delay": "1h"})])
    assert come_back(world, put.located.job.id) == [put.located.job.id]


def test_a_delayed_job_that_was_retried_runs_early_also_where_nobody_heard_of_it(world: World) -> None:
    """A worker that starts later finds only its name, which still says the old time."""
    (put,) = world.spools[0].put([world.making.job("scan", {"n": 1}, {"delay": "1h"})])
    assert world.spools[1].cancel([put.located.job.id])[0].outcome == "changed"
    assert world.spools[1].retry([put.located.job.id])[0].outcome == "changed"
    later = Spool(world.path, clock=world.clock, durability="relaxed")
    owner = later.join(WorkerInfo(owner="", host="here", pid=0, started_at=world.clock.now()))
    claims = [claim.job.id for _ in range(2) for claim in later.claim(owner)]
    later.close()
    assert claims == [put.located.job.id]


def test_a_job_that_waited_for_its_backoff_and_is_retried_runs_at_once(world: World) -> None:
    (put,) = world.spools[0].put([world.making.job("scan", {"n": 1}, {})])
    assert run_all(world, "failed", timedelta(hours=1)) == [put.located.job.id]
    assert run_all(world) == []
    assert come_back(world, put.located.job.id) == [put.located.job.id]


def test_an_unreadable_drop_that_is_purged_and_restored_is_where_it_was(world: World) -> None:
    world.write("x.json", b"broken 1 {")
    assert world.spools[0].purge(["x"], pending=True)[0].outcome == "changed"
    assert world.spools[0].restore(["x"])[0].outcome == "changed"
    assert (world.path / "pending" / "x.json").exists()


def test_a_cancel_holds_when_the_worker_hands_its_jobs_back(world: World) -> None:
    (put,) = world.spools[0].put([world.making.job("scan", {"n": 1}, {})])
    assert len(world.spools[0].claim(world.owners[0])) == 1
    assert world.spools[0].cancel([put.located.job.id])[0].outcome == "cancelling"
    world.spools[0].hand_back(world.owners[0])
    world.spools[0].locks.release(world.owners[0])
    world.spools[1].rescue()
    assert world.spools[1].get(put.located.job.id).job.cancelled
