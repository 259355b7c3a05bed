"""The protocol: what holds when two act at once, who is alive, and what is synced before what. Crashes: tests/proof."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue.errors import JobNotFound, NotAcknowledged, QueueFolderError
from jobqueue.model.filter import Filter
from jobqueue.model.job import Failure, Job
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete, fail
from jobqueue.store import files
from jobqueue.store.base import Claim, WorkerInfo
from jobqueue.store.locks import Locks
from jobqueue.store.moving import Held, Outcome
from jobqueue.store.spool import Spool

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


def now() -> datetime:
    return datetime.now(timezone.utc)


def job(name: str, **fields: Any) -> Job:
    return Job(id=name, type="scan", payload={"name": name, "filler": "x" * 100}, created_at=LONG_AGO, **fields)


def info(**fields: Any) -> WorkerInfo:
    return WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=now(), **fields)


def run_of(claim: Claim) -> Run:
    return Run(claim.owner, claim.claimed_at, now())


def finish(spool: Spool, claims: list[Claim], decide: Callable[[Claim], Any]) -> list[bool]:
    return spool.apply([(claim, decide(claim)) for claim in claims])


def done(claim: Claim) -> Any:
    return complete(claim.job, {"by": claim.job.id}, run_of(claim))


def retried(claim: Claim) -> Any:
    return fail(claim.job, Failure(message="again"), run_of(claim), delay=timedelta(0))


def put_three(spool: Spool) -> None:
    spool.put([job("a"), job("b"), job("c")], given_ids=True)


def put_and_work(spool: Spool) -> None:
    put_three(spool)
    finish(spool, spool.claim(spool.join(info()), limit=2), done)  # a and b are done, c is pending


def record_only(spool: Spool, claim: Claim) -> None:
    """The outcome stands in the claim folder, and was not moved on."""
    moving, transition = spool.moving, done(claim)
    outcome = Outcome(Held(*claim.token), transition.to, transition)
    temporary = moving.scratch.write([moving.body(outcome)])
    moving.exchange([outcome], temporary)
    moving.scratch.discard(temporary)


# -- enqueue: what the caller is told


@pytest.mark.parametrize("step", ["create", "write", "fsync", "move"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EDQUOT])
def test_a_disk_that_refuses_an_enqueue_leaves_nothing(
    step: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "q")

    def probe(name: str) -> None:
        if name == step:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "probe", probe)
    with pytest.raises(QueueFolderError, match="nothing was enqueued"):
        spool.put([job("a")])
    monkeypatch.setattr(files, "probe", None)
    assert os.listdir(tmp_path / "q" / ".jobqueue" / "tmp") == []
    assert sum(spool.counts().values()) == 0
    spool.close()


def test_a_failed_sync_of_the_folder_says_that_the_job_may_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "q")

    def probe(name: str) -> None:
        if name == "fsync folder":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "probe", probe)
    with pytest.raises(NotAcknowledged, match="may exist or not"):
        spool.put([job("a")])
    spool.close()


def test_a_rename_that_fails_in_the_middle_of_a_group_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "q")
    left = [3]

    def probe(name: str) -> None:
        left[0] -= name == "move"
        if left[0] == 0 and name == "move":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "probe", probe)
    with pytest.raises(NotAcknowledged, match="may exist or not"):
        spool.put([job(f"a{number}") for number in range(5)])
    monkeypatch.setattr(files, "probe", None)
    assert spool.counts()[Status.PENDING] == 2
    assert os.listdir(tmp_path / "q" / ".jobqueue" / "tmp") == []
    spool.close()


# -- what is synced before what


def order_of(steps: list[str], *wanted: str) -> bool:
    """Whether these steps come in this order, others in between."""
    remaining = iter(steps)
    return all(step in remaining for step in wanted)


def test_strict_syncs_the_file_before_the_rename_and_the_folder_before_the_answer(tmp_path: Path, probed: list[str]) -> None:
    spool = Spool(tmp_path / "q")
    probed.clear()
    spool.put([job("a")])
    assert probed[:5] == ["create", "write", "fsync", "move", "fsync folder"]
    probed.clear()
    spool.put([job(f"many-{number}") for number in range(10)])
    assert probed[:32] == ["create", "write"] * 10 + ["syncfs"] + ["move"] * 10 + ["fsync folder"]
    probed.clear()
    (claim,) = spool.claim(spool.join(info()))
    probed.clear()
    assert finish(spool, [claim], done) == [True]
    assert order_of(probed, "create", "write", "fsync", "swap", "move", "fsync folder")
    assert probed.index("fsync") < probed.index("swap") < probed.index("move") < probed.index("fsync folder")
    spool.close()


def test_a_claim_is_one_rename(tmp_path: Path, probed: list[str]) -> None:
    spool = Spool(tmp_path / "q")
    owner = spool.join(info())
    spool.put([job("a"), job("b")])
    probed.clear()
    assert len(spool.claim(owner, limit=2)) == 2
    assert probed == ["move", "move"]
    spool.close()


@pytest.mark.parametrize("verb", ["cancel", "retry", "purge", "restore", "rescue"])
def test_strict_syncs_what_it_acknowledges(verb: str, tmp_path: Path, probed: list[str]) -> None:
    spool = Spool(tmp_path / "q")
    (spool if verb == "cancel" else None) or put_and_work(spool)
    if verb == "cancel":
        put_three(spool)
    if verb == "restore":
        spool.purge(["a"])
    if verb == "rescue":
        owner = spool.join(info())
        spool.claim(owner)
        spool.locks.release(owner)
    probed.clear()
    assert spool.rescue() if verb == "rescue" else getattr(spool, verb)(["a"])
    last_move = len(probed) - 1 - probed[::-1].index("move")
    assert "fsync folder" in probed[last_move:]
    if "swap" in probed:
        assert probed.index("fsync") < probed.index("swap")
    spool.close()


def test_relaxed_syncs_nothing(tmp_path: Path, probed: list[str]) -> None:
    spool = Spool(tmp_path / "q", durability="relaxed")
    put_and_work(spool)
    spool.put([job("k", idempotency_key="k")])
    spool.put([job(f"many-{number}") for number in range(10)])
    spool.cancel(["c"])
    spool.retry(["a"])
    spool.purge(["b"])
    spool.restore(["b"])
    assert not [step for step in probed if "sync" in step]
    assert {"create", "write", "move", "swap"} <= set(probed)
    spool.close()


STRACED = """
import sys
from datetime import datetime, timezone
from jobqueue.model.job import Job
from jobqueue.store.spool import Spool
spool = Spool(sys.argv[1])
print("enqueue", flush=True)
spool.put([Job(id="10-20261122T000000000000-00000000", type="scan", created_at=datetime.now(timezone.utc))])
print("acknowledged", flush=True)
"""


def test_the_kernel_sees_the_same_order(tmp_path: Path) -> None:
    """The system calls themselves: write, fsync of the file, rename, fsync of the folder, answer."""
    trace = tmp_path / "trace"
    calls = "write,pwrite64,fsync,fdatasync,syncfs,renameat2,rename,renameat"
    try:
        done = subprocess.run(
            ["strace", "-f", "-y", "-e", f"trace={calls}", "-o", trace, sys.executable, "-c", STRACED, tmp_path / "q"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("no strace here")
    if done.returncode:
        pytest.skip(f"strace does not work here: {done.stderr}")
    lines = trace.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if '"enqueue' in line)
    end = next(n for n, line in enumerate(lines) if '"acknowledged' in line)
    seen = [line for line in lines[start:end] if ".jobqueue/arrivals" not in line]
    written = next(n for n, line in enumerate(seen) if "write(" in line and "/tmp/" in line)
    synced = next(n for n, line in enumerate(seen) if "fsync(" in line and "/.jobqueue/tmp/" in line)
    renamed = next(n for n, line in enumerate(seen) if "renameat2(" in line and "RENAME_NOREPLACE" in line)
    folder = next(n for n, line in enumerate(seen) if "fsync(" in line and "/pending>" in line)
    assert written < synced < renamed < folder


# -- one rename decides


def test_a_rename_never_overwrites(tmp_path: Path) -> None:
    folder = files.open_folder(str(tmp_path))
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        files.move(folder, "a", folder, "b")
    assert (tmp_path / "a").read_text() == "a"
    assert (tmp_path / "b").read_text() == "b"
    with pytest.raises(FileNotFoundError):
        files.move(folder, "gone", folder, "c")
    os.close(folder)


def test_an_exchange_revives_nothing(tmp_path: Path) -> None:
    folder = files.open_folder(str(tmp_path))
    (tmp_path / "a").write_text("a")
    with pytest.raises(FileNotFoundError):
        files.swap(folder, "a", folder, "gone")
    assert os.listdir(tmp_path) == ["a"]
    os.close(folder)


def test_a_name_that_is_taken_in_done_is_not_overwritten(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "q", durability="relaxed")
    spool.put([job("a")], given_ids=True)
    (claim,) = spool.claim(spool.join(info()))
    (tmp_path / "q" / "done" / "a.json").write_text("precious")
    assert finish(spool, [claim], done) == [True]
    assert (tmp_path / "q" / "done" / "a.json").read_text() == "precious"
    assert json.loads((tmp_path / "q" / "done" / "a~1.json").read_text())["result"] == {"by": "a"}
    spool.close()


def test_a_name_that_is_taken_in_pending_is_not_overwritten(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "q", durability="relaxed")
    (tmp_path / "q" / "pending" / "a.json").write_text("precious")
    (put,) = spool.put([job("a")])
    assert put.located.job.id == "a~1"
    assert (tmp_path / "q" / "pending" / "a.json").read_text() == "precious"
    spool.close()


def test_the_same_name_enqueued_at_the_same_time_by_many_threads_makes_many_jobs(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "q", durability="relaxed")
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(put.located.job.id for put in spool.put([job("same")]))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 8
    assert spool.counts()[Status.PENDING] == 8
    spool.close()


def test_many_processes_claim_each_job_once(tmp_path: Path, forked: Any) -> None:
    path = tmp_path / "q"
    spool = Spool(path, durability="relaxed")
    spool.put([job(f"j{number:03}") for number in range(200)])
    log = tmp_path / "claims"

    def claim_all() -> None:
        own = Spool(path, durability="relaxed")
        owner = own.join(info())
        with log.open("a") as file:
            while claims := own.claim(owner, limit=3):
                file.write("".join(f"{claim.job.id}\n" for claim in claims))
                file.flush()
                assert all(finish(own, claims, done))

    pids = [start(claim_all, forked) for _ in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 4
    claimed = log.read_text().split()
    assert sorted(claimed) == [f"j{number:03}" for number in range(200)]
    assert spool.counts()[Status.DONE] == 200
    spool.close()


def start(work: Callable[[], None], forked: Any) -> int:
    """Forks, and comes back at once with the pid of the child."""
    reading, writing = os.pipe()

    def in_grandchild() -> None:
        work()

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(60)
            in_grandchild()
            code = 0
        finally:
            os._exit(code)
    os.close(reading)
    os.close(writing)
    return pid


# -- who is alive


class Holder:
    """A child process that holds claims until it is ended."""

    def __init__(self, path: Path, forked: Any, *, limit: int = 2) -> None:
        reading, writing = os.pipe()

        def hold() -> None:
            spool = Spool(path, durability="relaxed")
            claims = spool.claim(spool.join(info()), limit=limit)
            os.write(writing, str(len(claims)).encode())
            signal.pause()

        self.pid = start(hold, forked)
        os.close(writing)
        self.claimed = int(os.read(reading, 10))
        os.close(reading)

    def end(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)
        os.waitpid(self.pid, 0)


@pytest.fixture
def queue_of_three(tmp_path: Path) -> Any:
    spool = Spool(tmp_path / "q", durability="relaxed")
    put_three(spool)
    yield spool
    spool.close()


def test_a_killed_owner_is_dead_at_once(queue_of_three: Spool, forked: Any) -> None:
    child = Holder(queue_of_three.path, forked)
    assert child.claimed == 2
    assert queue_of_three.rescue() == []
    started = time.monotonic()
    child.end()
    assert sorted(queue_of_three.rescue()) == ["a", "b"]
    assert time.monotonic() - started < 1
    assert {queue_of_three.get(id).job.attempts for id in "ab"} == {1}
    assert not os.listdir(queue_of_three.path / "claimed")
    assert not os.listdir(queue_of_three.path / ".jobqueue" / "locks")


def test_a_stopped_owner_keeps_its_jobs(queue_of_three: Spool, forked: Any) -> None:
    child = Holder(queue_of_three.path, forked)
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    for folder in (queue_of_three.path / "claimed").iterdir():
        os.utime(folder, (0, 0))  # however old it looks
        for file in folder.iterdir():
            os.utime(file, (0, 0))
    for _ in range(20):
        assert queue_of_three.rescue() == []
    assert len(queue_of_three.workers()) == 1
    assert queue_of_three.counts()[Status.CLAIMED] == 2
    child.end()
    assert sorted(queue_of_three.rescue()) == ["a", "b"]


def test_no_pid_and_no_clock_decides(queue_of_three: Spool) -> None:
    """An owner whose pid lives and who says that it started just now is dead when its lock is free."""
    owner = queue_of_three.join(info())
    assert len(queue_of_three.claim(owner, limit=3)) == 3
    queue_of_three.locks.release(owner)
    assert sorted(queue_of_three.rescue()) == ["a", "b", "c"]


def test_two_rescuers_at_once_move_each_job_once(tmp_path: Path, forked: Any, places: Any) -> None:
    path = tmp_path / "q"
    spool = Spool(path, durability="relaxed")
    spool.put([job(f"j{number}") for number in range(40)])
    children = [Holder(path, forked, limit=10) for _ in range(4)]
    for child in children:
        child.end()
    spools = [Spool(path, durability="relaxed") for _ in range(4)]
    moved: list[str] = []
    threads = [threading.Thread(target=lambda one=one: moved.extend(one.rescue())) for one in spools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moved += spool.rescue()
    assert sorted(moved) == sorted(f"j{number}" for number in range(40))
    assert {spool.get(id).job.attempts for id in moved} == {1}
    assert all(folders == ["pending"] for folders in places(path).values())
    for one in (*spools, spool):
        one.close()


def test_a_forked_child_that_does_not_run_jobs_lets_go_of_the_lock(queue_of_three: Spool, forked: Any) -> None:
    """A daemon that a worker left behind must not keep the worker alive."""
    reading, writing = os.pipe()

    def worker() -> None:
        spool = Spool(queue_of_three.path, durability="relaxed")
        assert len(spool.claim(spool.join(info()), limit=2)) == 2
        if os.fork() == 0:  # the daemon: it outlives the worker by far
            os.write(writing, str(os.getpid()).encode())
            signal.alarm(30)
            signal.pause()
            os._exit(0)

    assert forked(worker) == 0
    daemon = int(os.read(reading, 20))
    try:
        assert sorted(queue_of_three.rescue()) == ["a", "b"]
        os.kill(daemon, 0)
    finally:
        os.kill(daemon, signal.SIGKILL)
        os.close(reading)
        os.close(writing)


def test_a_forked_child_does_not_unlock_what_its_parent_holds(queue_of_three: Spool, forked: Any) -> None:
    owner = queue_of_three.join(info())
    assert len(queue_of_three.claim(owner, limit=2)) == 2
    assert forked(queue_of_three.close) == 0
    other = Spool(queue_of_three.path, durability="relaxed")
    assert other.rescue() == []
    assert other.locks.alive(owner)
    other.close()


def test_a_forked_child_does_not_hold_the_claims_of_its_parent(queue_of_three: Spool, forked: Any) -> None:
    owner = queue_of_three.join(info())
    claims = queue_of_three.claim(owner, limit=2)

    def child() -> None:
        assert queue_of_three.extend(owner, claims) == {"a": "lost", "b": "lost"}
        assert not queue_of_three.locks.holds(owner)
        assert queue_of_three.locks.alive(owner)

    assert queue_of_three.extend(owner, claims) == {"a": "ok", "b": "ok"}
    assert forked(child) == 0


def test_the_lock_file_stays_with_the_same_inode_after_a_release(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    locks.take("owner")
    before = os.open(tmp_path / "owner", os.O_RDONLY)  # held open, so that no other file can get its number
    locks.release("owner")
    for _ in range(3):
        with locks.seize("owner") as dead:
            assert dead
        with locks.hold("owner"):
            pass
        assert not locks.alive("owner")
    assert os.path.samestat(os.fstat(before), (tmp_path / "owner").stat())
    os.close(before)


def test_a_lock_is_held_for_as_long_as_one_rescuer_acts(tmp_path: Path) -> None:
    mine, others = Locks(tmp_path), Locks(tmp_path)
    mine.take("owner")
    mine.release("owner")
    with mine.seize("owner") as dead, others.seize("owner") as too:
        assert (dead, too) == (True, False)
    with others.seize("owner") as dead:
        assert dead


def test_a_rescuer_holds_the_lock_while_it_acts(queue_of_three: Spool, monkeypatch: Any) -> None:
    owner = queue_of_three.join(info())
    queue_of_three.claim(owner)
    queue_of_three.locks.release(owner)
    others = Locks(queue_of_three.path / ".jobqueue" / "locks")
    seen = []
    original = queue_of_three.rescuing.recover

    def recover(dead: str) -> Any:
        with others.seize(dead) as too:
            seen.append((dead, too, others.alive(dead)))
        return original(dead)

    monkeypatch.setattr(queue_of_three.rescuing, "recover", recover)
    assert queue_of_three.rescue() == ["a"]
    assert seen == [(owner, False, True)]


def test_a_removed_lock_file_stops_its_owner(queue_of_three: Spool) -> None:
    owner = queue_of_three.join(info())
    claims = queue_of_three.claim(owner)
    (queue_of_three.path / ".jobqueue" / "locks" / owner).unlink()
    with pytest.raises(QueueFolderError, match="lock file"):
        queue_of_three.extend(owner, claims)


def test_a_lock_that_cannot_be_opened_counts_as_held(queue_of_three: Spool) -> None:
    owner = queue_of_three.join(info())
    queue_of_three.claim(owner)
    queue_of_three.locks.release(owner)
    lock = queue_of_three.path / ".jobqueue" / "locks" / owner
    lock.unlink()
    lock.mkdir()
    assert queue_of_three.rescue() == []
    assert queue_of_three.counts()[Status.CLAIMED] == 1
    lock.rmdir()


# -- who wins


def test_a_recorded_outcome_rolls_forward_and_is_not_run_again(queue_of_three: Spool) -> None:
    owner = queue_of_three.join(info())
    (claim,) = queue_of_three.claim(owner)
    record_only(queue_of_three, claim)
    queue_of_three.locks.release(owner)
    queue_of_three.rescue()
    located = queue_of_three.get("a")
    assert (located.status, located.job.attempts, located.job.result) == (Status.DONE, 1, {"by": "a"})
    assert [(attempt.job, attempt.outcome) for attempt in queue_of_three.attempts()] == [("a", "done")]


def test_an_old_outcome_is_not_taken_for_a_new_one(queue_of_three: Spool) -> None:
    """A job that this very worker finished before, retried, and claimed again by it when it dies."""
    owner = queue_of_three.join(info())
    for times in range(3):
        (claim,) = [claim for claim in queue_of_three.claim(owner) if claim.job.id == "a"]
        finish(queue_of_three, [claim], done)
        assert queue_of_three.retry(["a"])[0].outcome == "changed"
        (path,) = (queue_of_three.path / "pending").glob("a.json")
        # moved by hand, so that the file is as the worker left it
        path.write_text(json.dumps({**json.loads(path.read_text()), "written_by": claim.token[0], "priority": 0}))
        assert times < 3
    (claim,) = queue_of_three.claim(owner)
    assert claim.job.id == "a"
    queue_of_three.locks.release(owner)
    assert queue_of_three.rescue() == ["a"]
    assert queue_of_three.get("a").status is Status.PENDING
    assert queue_of_three.get("a").job.attempts == 1


def test_cancel_retry_and_purge_racing_on_one_job_have_one_winner(tmp_path: Path, places: Any) -> None:
    path = tmp_path / "q"
    spool = Spool(path, durability="relaxed")
    put_and_work(spool)
    for _ in range(30):
        spools = [Spool(path, durability="relaxed") for _ in range(3)]
        answers: dict[str, str] = {}
        barrier = threading.Barrier(3)

        def act(verb: str, one: Spool, barrier: threading.Barrier = barrier, answers: dict[str, str] = answers) -> None:
            barrier.wait()
            answers[verb] = getattr(one, verb)(["a"])[0].outcome

        threads = [
            threading.Thread(target=act, args=(verb, one))
            for verb, one in zip(("retry", "purge", "cancel"), spools, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in spools:
            one.close()
        found = places(path).get("a.json", [])
        trashed = (path / ".jobqueue" / "trash" / "a.json").exists()
        assert len(found) + trashed == 1
        if trashed:
            assert answers["purge"] == "changed"
            spool.restore(["a"])
        elif found == ["done"]:
            assert set(answers.values()) <= {"refused", "missing"}
        else:
            assert answers["retry"] == "changed"
        if found == ["pending"]:
            claimed = {claim.job.id: claim for claim in spool.claim(spool.join(info()), limit=5)}
            if answers["cancel"] == "cancelling":  # it was asked for while the retry had it: it holds all the same
                assert "a" not in claimed
                assert spool.get("a").job.cancelled
            else:
                finish(spool, [claimed["a"]], done)
        if spool.get("a").status is Status.FAILED:
            assert answers["cancel"] in ("changed", "cancelling")
            assert spool.retry(["a"])[0].outcome == "changed"
            finish(spool, [claim for claim in spool.claim(spool.join(info()), limit=5) if claim.job.id == "a"], done)
        assert spool.get("a").status is Status.DONE
        assert os.listdir(path / ".jobqueue" / "cancel") == []
    spool.close()


def test_a_job_with_a_mark_is_ended_by_its_claim(queue_of_three: Spool) -> None:
    """It was asked to stop while it was on its way back to pending/."""
    queue_of_three.moving.mark_cancel("a.json", "stop")
    owner = queue_of_three.join(info())
    assert [claim.job.id for claim in queue_of_three.claim(owner, limit=5)] == ["b", "c"]
    assert queue_of_three.get("a").job.cancelled
    assert os.listdir(queue_of_three.path / ".jobqueue" / "cancel") == []


def test_a_purge_looks_again_at_the_last_moment(queue_of_three: Spool) -> None:
    finish(queue_of_three, queue_of_three.claim(queue_of_three.join(info())), done)
    (change,) = queue_of_three.purge(["a"], where=Filter(until=LONG_AGO))
    assert change.outcome == "refused"
    assert queue_of_three.get("a").status is Status.DONE


def test_a_cancel_that_comes_while_the_job_ends_does_not_end_it_again(queue_of_three: Spool, monkeypatch: Any) -> None:
    """The mark is made after the worker looked for it and before the job has moved; a retry must run all the same."""
    owner = queue_of_three.join(info())
    (claim,) = queue_of_three.claim(owner)
    answers: list[str] = []
    original = queue_of_three.moving.exchange

    def exchange(*arguments: Any) -> Any:
        answers.append(queue_of_three.cancel(["a"])[0].outcome)
        return original(*arguments)

    monkeypatch.setattr(queue_of_three.moving, "exchange", exchange)
    assert finish(queue_of_three, [claim], done) == [True]
    assert answers == ["cancelling"]
    assert queue_of_three.get("a").status is Status.DONE
    monkeypatch.undo()
    assert queue_of_three.retry(["a"])[0].outcome == "changed"
    claimed = [claim.job.id for claim in queue_of_three.claim(owner, limit=3)]
    assert "a" in claimed


def test_a_cancel_in_the_tick_of_the_last_look_is_seen(queue_of_three: Spool) -> None:
    """The mtime of a folder is coarse, so that one that is as new as now proves nothing."""
    marks = queue_of_three.path / ".jobqueue" / "cancel"
    soon = time.time_ns() + 3_000_000_000
    os.utime(marks, ns=(soon, soon))
    assert not queue_of_three.moving.cancel_asked("a.json")
    (marks / "a.json").write_text("stop")
    os.utime(marks, ns=(soon, soon))
    assert queue_of_three.moving.cancel_asked("a.json")


def test_a_cancel_asked_in_time_turns_a_retry_into_an_end(queue_of_three: Spool) -> None:
    (claim,) = queue_of_three.claim(queue_of_three.join(info()))
    assert queue_of_three.cancel(["a"])[0].outcome == "cancelling"
    assert finish(queue_of_three, [claim], retried) == [True]
    located = queue_of_three.get("a")
    assert located.status is Status.FAILED
    assert located.job.cancelled


def test_a_cancelled_job_of_a_dead_worker_ends(queue_of_three: Spool) -> None:
    owner = queue_of_three.join(info())
    queue_of_three.claim(owner)
    queue_of_three.cancel(["a"])
    queue_of_three.locks.release(owner)
    queue_of_three.rescue()
    assert queue_of_three.get("a").job.cancelled
    assert os.listdir(queue_of_three.path / ".jobqueue" / "cancel") == []


def test_a_handed_back_job_loses_no_attempt(queue_of_three: Spool) -> None:
    owner = queue_of_three.join(info())
    queue_of_three.claim(owner)
    queue_of_three.hand_back(owner)
    queue_of_three.locks.release(owner)
    assert queue_of_three.rescue() == ["a"]
    assert queue_of_three.get("a").job.attempts == 0


def test_purged_jobs_and_unknown_ones_are_not_there(queue_of_three: Spool) -> None:
    finish(queue_of_three, queue_of_three.claim(queue_of_three.join(info())), done)
    queue_of_three.purge(["a"])
    with pytest.raises(JobNotFound, match="restore"):
        queue_of_three.get("a")
    with pytest.raises(JobNotFound):
        queue_of_three.get("zzz")


def test_a_child_runs_as_soon_as_its_parent_is_done_however_long_a_listing_takes(tmp_path: Path) -> None:
    with closing(Spool(tmp_path / "q", durability="relaxed")) as spool:
        owner = spool.join(info())
        spool.put([job("a"), job("b", after=("a",))])
        (parent,) = spool.claim(owner, limit=2)
        spool.claiming.listing_took = 1000.0
        spool.apply([(parent, complete(parent.job, None, Run(owner, parent.claimed_at, parent.claimed_at)))])
        assert [claim.job.id for claim in spool.claim(owner, limit=2)] == ["b"]
