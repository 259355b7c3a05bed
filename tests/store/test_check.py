"""The check: each rule is really broken, found, and (where that is safe) mended; and a queue in use is in order."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path

import msgspec
import pytest

from jobqueue.errors import QueueFolderError
from jobqueue.model.entry import AttemptEntry
from jobqueue.model.job import Failure, Job
from jobqueue.model.names import make_id
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete, fail
from jobqueue.queue.queue import Queue
from jobqueue.store import check_jobs, files
from jobqueue.store.base import Claim, WorkerInfo
from jobqueue.store.check import check
from jobqueue.store.check_support import remove_key
from jobqueue.store.finding import Finding
from jobqueue.store.keys import key_file_name
from jobqueue.store.problem import stat_of
from jobqueue.store.spool import Spool

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
TWO_DAYS = 2 * 86400
numbers = count(1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "q", durability="relaxed")
    yield spool
    spool.close()


def new_job(**fields: object) -> Job:
    number = next(numbers)
    made = NOW + timedelta(milliseconds=number)
    job = Job(id=make_id(10, made, False, f"{number:08x}"), type="scan", created_at=made)
    return msgspec.structs.replace(job, **fields)


def add(spool: Spool, **fields: object) -> str:
    [put] = spool.put([new_job(**fields)])
    return put.located.job.id


def join(spool: Spool, owner: str = "worker-1") -> str:
    return spool.join(WorkerInfo(owner=owner, host="here", pid=1, started_at=NOW))


def finish(spool: Spool, status: Status, **fields: object) -> str:
    """The id of a job that a worker brought to done/ or failed/."""
    id = add(spool, **fields)
    owner = join(spool)
    [claim] = spool.claim(owner)
    run = Run(owner, claim.claimed_at, claim.claimed_at)
    decided = complete(claim.job, 1, run) if status is Status.DONE else fail(claim.job, Failure(), run, final=True)
    assert spool.apply([(claim, decided)]) == [True]
    spool.leave(owner)
    return id


def support(spool: Spool, *parts: str) -> Path:
    return Path(spool.path, ".jobqueue", *parts)


def aged(path: Path, seconds: float = TWO_DAYS) -> Path:
    os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)
    return path


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


def is_well(spool: Spool) -> bool:
    finding = only(check(spool))
    return (finding.level, finding.what) == ("ok", "check")


def assert_mended(spool: Spool, what: str) -> Finding:
    """It is found, left alone without `repair`, mended with it, and then gone."""
    assert only(check(spool)).level != "ok"
    found = only(check(spool))
    assert (found.what, bool(found.fix)) == (what, True)
    mended = only(check(spool, repair=True))
    assert (mended.level, mended.what) == ("ok", what)
    assert "; mended: " in mended.found
    assert is_well(spool)
    return found


def assert_reported(spool: Spool, what: str) -> Finding:
    """It is found, and `repair` leaves it as it is."""
    found = only(check(spool))
    assert (found.what, found.level != "ok", bool(found.fix)) == (what, True, True)
    assert only(check(spool, repair=True)) == found
    assert only(check(spool)) == found
    return found


# A worker in another process, which can be killed

WORKER = """
import sys, time
from jobqueue.store.base import WorkerInfo
from jobqueue.store.spool import Spool
from datetime import datetime, timezone
spool = Spool(sys.argv[1], durability="relaxed")
owner = spool.join(WorkerInfo(owner="worker-other", host="here", pid=2, started_at=datetime.now(timezone.utc)))
claims = spool.claim(owner, limit=100)
print(len(claims), flush=True)
time.sleep(100)
"""


@contextmanager
def other_worker(spool: Spool, expected: int) -> Iterator[Callable[[], None]]:
    """Another process that has claimed all there is; yields what kills it."""
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(spool.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None

    def kill() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    try:
        assert process.stdout.readline() == f"{expected}\n"
        yield kill
    finally:
        kill()
        process.stdout.close()


# A queue in order


def test_an_empty_queue_is_in_order(spool: Spool) -> None:
    finding = only(check(spool, repair=True))
    assert finding == Finding("ok", "check", "0 pending, 0 claimed, 0 done, 0 failed: nothing breaks a rule")


def test_a_queue_with_jobs_everywhere_is_in_order(spool: Spool) -> None:
    finish(spool, Status.DONE, idempotency_key="a")
    finish(spool, Status.FAILED)
    [cancelled, purged] = [add(spool), add(spool, idempotency_key="b")]
    spool.cancel([cancelled, purged])
    spool.purge([purged])
    add(spool)
    spool.claim(join(spool))
    add(spool, run_after=NOW + timedelta(days=9999))
    assert check(spool, repair=True)[0].found == "1 pending, 1 claimed, 1 done, 2 failed: nothing breaks a rule"


def test_a_queue_has_it_as_a_method(tmp_path: Path) -> None:
    with Queue(tmp_path / "q") as queue:
        (tmp_path / "q" / "claimed" / "x.json").write_text("{}")
        assert only(queue.check(repair=True)).what == "stray in claimed/"


def test_a_queue_in_memory_has_no_folder() -> None:
    assert only(Queue(":memory:").check(repair=True)).level == "ok"


def test_a_queue_in_use_is_in_order(spool: Spool, tmp_path: Path) -> None:
    """Every verb is at work in other threads, and nothing is reported, mended or lost."""
    stop = threading.Event()
    made: list[str] = []
    errors: list[BaseException] = []

    def loop(step: Callable[[Spool], None]) -> None:
        own = Spool(tmp_path / "q", durability="relaxed")
        try:
            while not stop.is_set():
                step(own)
        except BaseException as error:
            errors.append(error)
        finally:
            own.close()

    def produce(own: Spool) -> None:
        if len(made) < 200:
            jobs = [new_job(idempotency_key=f"k{next(numbers)}") for _ in range(3)]
            made.extend(put.located.job.id for put in own.put(jobs))

    def operate(own: Spool) -> None:
        ids = made[-40:]
        own.cancel(ids[:3])
        own.retry(ids[3:9])
        own.rescue()

    def work(own: Spool) -> None:
        owner = own.join(WorkerInfo(owner="", host="here", pid=1, started_at=NOW))
        for _ in range(5):
            claims: list[Claim] = own.claim(owner, limit=3)
            runs = [(claim, complete(claim.job, 1, Run(owner, claim.claimed_at, claim.claimed_at))) for claim in claims]
            own.apply(runs)
        own.leave(owner)

    threads = [threading.Thread(target=loop, args=(step,)) for step in (produce, work, work, operate)]
    for thread in threads:
        thread.start()
    try:
        findings = check(spool, repair=True)
        # As many checks as it takes for the verbs to have done something beside them, on however busy a machine.
        while len(made) < 60 and not errors:
            findings += check(spool, repair=True)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert {(finding.what, finding.level) for finding in findings} == {("check", "ok")}, findings
    assert sum(spool.counts().values()) == len(made) > 20
    assert is_well(spool)


# Jobs


def test_one_id_in_two_folders(spool: Spool) -> None:
    id = finish(spool, Status.DONE)
    body = (spool.path / "done" / f"{id}.json").read_bytes()
    files.write_new(spool.folder.pending, f"{id}.json", body)
    found = assert_reported(spool, "one id in two places")
    assert (found.level, found.found) == ("fail", f"{id}.json is in pending and done")


def test_one_id_claimed_and_done(spool: Spool) -> None:
    id = finish(spool, Status.DONE)
    owner = join(spool)
    body = (spool.path / "done" / f"{id}.json").read_bytes()
    files.write_new(spool.folder.claim_folder(owner), f"{id}.json", body)
    assert assert_reported(spool, "one id in two places").found == f"{id}.json is in claimed/{owner} and done"


def test_a_drop_may_have_the_name_of_a_finished_job(spool: Spool) -> None:
    for folder in ("pending", "failed"):
        files.write_new(spool.folder.fds[folder], "x.json", b"not even JSON")
    files.write_new(spool.folder.fds["failed"], "x.reason", b"it is not even JSON")
    assert is_well(spool)


def test_a_job_that_moves_while_it_is_looked_at_is_in_one_place(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    id = add(spool)

    def moving(folder: int, name: str) -> os.stat_result | None:
        spool.cancel([id])
        return stat_of(folder, name)

    monkeypatch.setattr("jobqueue.store.check_jobs.stat_of", moving)
    places = spool.reading.places

    def seen_twice(status: Status) -> list[object]:
        return (
            [place._replace(name=f"{id}.json") for place in places(Status.PENDING)]
            if status is Status.DONE
            else [*places(status)]
        )

    monkeypatch.setattr(spool.reading, "places", seen_twice)
    assert list(check_jobs.find_doubles(spool)) == []


def test_done_with_an_error(spool: Spool) -> None:
    id = finish(spool, Status.FAILED)
    (spool.path / "failed" / f"{id}.json").rename(spool.path / "done" / f"{id}.json")
    found = assert_mended(spool, "outcome in the wrong folder")
    assert found.found == f"done/{id}.json carries an error"
    assert spool.get(id).status is Status.FAILED


def test_failed_with_a_result(spool: Spool) -> None:
    id = finish(spool, Status.DONE)
    (spool.path / "done" / f"{id}.json").rename(spool.path / "failed" / f"{id}.json")
    assert assert_mended(spool, "outcome in the wrong folder").found == f"failed/{id}.json carries a result"
    assert spool.get(id).status is Status.DONE


@pytest.mark.parametrize("folder", ["done", "failed"])
def test_a_finished_job_that_never_ran(spool: Spool, folder: str) -> None:
    id = add(spool)
    (spool.path / "pending" / f"{id}.json").rename(spool.path / folder / f"{id}.json")
    found = assert_reported(spool, "no outcome")
    assert found.fix.startswith(f"to run it: mv {folder}/{id}.json pending/")


@pytest.mark.parametrize("folder", ["done", "failed"])
def test_a_finished_file_that_cannot_be_read(spool: Spool, folder: str) -> None:
    files.write_new(spool.folder.fds[folder], "x.json", b'{"type": ')
    found = assert_mended(spool, "unreadable file")
    assert found.found.startswith(f"{folder}/x.json line 1, column ")
    assert (spool.path / "failed" / "x.json").read_bytes() == b'{"type": '
    assert spool.get("x").reason == found.found.removeprefix(f"{folder}/x.json ")


def test_a_link_among_the_finished(spool: Spool) -> None:
    (spool.path / "done" / "x.json").symlink_to("/etc/hostname")
    assert "a symlink" in assert_mended(spool, "unreadable file").found
    assert (spool.path / "failed" / "x.json").is_symlink()


def test_a_folder_among_the_finished(spool: Spool) -> None:
    (spool.path / "done" / "x.json").mkdir()
    assert assert_reported(spool, "unusable file").found == "done/x.json is a folder, not a job"


def test_a_reason_without_its_file(spool: Spool) -> None:
    reason = spool.path / "failed" / "x.reason"
    reason.write_text("not JSON")
    assert is_well(spool), "the file that it is about may be on its way"
    aged(reason)
    assert_mended(spool, "reason without its file")
    assert not reason.exists()


def test_a_reason_beside_its_file_stays(spool: Spool) -> None:
    long = "x" * 250
    for name, reason in (("a", "a"), (long, "x" * 248)):
        (spool.path / "failed" / f"{name}.json").write_text("{")
        aged(spool.path / "failed" / f"{name}.json")
        aged_reason = spool.path / "failed" / f"{reason}.reason"
        aged_reason.write_text("not JSON")
        aged(aged_reason)
    assert is_well(spool)


def test_a_job_that_others_may_read(spool: Spool) -> None:
    id = add(spool)
    path = spool.path / "pending" / f"{id}.json"
    path.chmod(0o644)
    assert assert_mended(spool, "readable by others").found == f"pending/{id}.json has mode 0644"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dropped_file_keeps_its_mode(spool: Spool) -> None:
    path = spool.path / "pending" / "x.json"
    path.write_text('{"type": "scan"}')
    path.chmod(0o644)
    assert is_well(spool), "nobody else comes into the folder"
    spool.path.chmod(0o755)
    assert "chmod 700" in assert_reported(spool, "dropped files readable by others").fix
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_names_that_are_no_text_are_reported_as_text(spool: Spool) -> None:
    files.write_new(spool.folder.fds["done"], "\udcff\n.json", b"{")
    assert "done/\\xff\\n.json" in assert_mended(spool, "unreadable file").found


# Claims


def test_the_claims_of_a_killed_worker(spool: Spool) -> None:
    id = add(spool)
    with other_worker(spool, 1) as kill:
        assert is_well(spool)
        kill()
    found = only(check(spool))
    assert found.what == "claims of the dead"
    assert "holds 1 job, and its owner is dead" in found.found
    assert spool.get(id).status is Status.CLAIMED, "without repair nothing is moved"

    mended = only(check(spool, repair=True))
    assert mended.level == "ok"
    assert mended.found.endswith("; mended: rescued")
    assert (spool.get(id).status, spool.get(id).job.attempts) == (Status.PENDING, 1)
    assert is_well(spool)


def test_the_claims_of_a_live_owner_are_untouched(spool: Spool) -> None:
    id = add(spool)
    with other_worker(spool, 1):
        held = spool.path / "claimed" / "worker-other" / f"{id}.json"
        held.write_text("not JSON")
        held.chmod(0o666)
        (held.parent / "junk").mkdir()
        before = held.stat()
        assert only(check(spool, repair=True)).level == "ok"
        assert held.stat() == before


def test_a_claim_folder_whose_owner_has_no_lock(spool: Spool) -> None:
    (spool.path / "claimed" / "worker-x").mkdir()
    id = add(spool)
    (spool.path / "pending" / f"{id}.json").rename(spool.path / "claimed" / "worker-x" / f"{id}.json")
    assert "its owner has no lock file" in assert_mended(spool, "claims of the dead").found
    assert spool.get(id).status is Status.PENDING


def test_what_is_no_job_in_a_dead_claim_folder_is_left(spool: Spool) -> None:
    (spool.path / "claimed" / "worker-x").mkdir()
    (spool.path / "claimed" / "worker-x" / "notes.txt").write_text("mine")
    assert "move it away" in only(check(spool, repair=True)).fix
    assert (spool.path / "claimed" / "worker-x" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("make", [lambda path: path.write_text("{}"), lambda path: path.symlink_to("/etc")])
def test_what_lies_in_claimed_itself_belongs_to_nobody(spool: Spool, make: Callable[[Path], object]) -> None:
    stray = spool.path / "claimed" / "x.json"
    make(stray)
    assert assert_reported(spool, "stray in claimed/").found.startswith("claimed/x.json ")
    assert spool.rescue() == []
    assert Queue(spool.path).stats().claimed == 0, "and it stops nobody"


# Temporary files


def test_old_temporary_files(spool: Spool) -> None:
    old = aged_file(support(spool, "tmp", "4194305-0123456789ab-1"))
    folder = support(spool, "tmp", "4194305-0123456789ab-selftest")
    folder.mkdir()
    (folder / "left").write_text("x")
    aged(folder)
    assert_mended(spool, "old temporary files")
    assert not old.exists()
    assert not folder.exists()


def test_temporary_files_that_may_be_in_use_stay(spool: Spool) -> None:
    new = support(spool, "tmp", "4194305-0123456789ab-1")
    new.write_text("x")
    of_a_live_process = aged_file(support(spool, "tmp", f"{os.getpid()}-0123456789ab-1"))
    assert only(check(spool, repair=True)).level == "ok"
    assert new.exists()
    assert of_a_live_process.exists()


def aged_file(path: Path) -> Path:
    path.write_text("x")
    return aged(path)


# Marks, keys, locks, workers


def test_a_cancel_mark_of_a_job_that_has_ended(spool: Spool) -> None:
    id = add(spool)
    spool.cancel([id])
    mark = support(spool, "cancel", f"{id}.json")
    mark.write_text("cancelled")
    assert is_well(spool), "the one who made it is about to look for the job"
    aged(mark)
    assert_mended(spool, "cancel mark without a job that could run")
    assert not mark.exists()


def test_a_cancel_mark_of_a_job_on_its_way_back_stays(spool: Spool) -> None:
    """Asked to stop while its attempt was failing: its next claim will end it."""
    id = add(spool)
    mark = support(spool, "cancel", f"{id}.json")
    mark.write_text("cancelled")
    aged(mark)
    assert is_well(spool)
    assert mark.exists()


def test_a_cancel_mark_of_a_running_job_stays(spool: Spool) -> None:
    id = add(spool)
    spool.claim(join(spool))
    assert spool.cancel([id])[0].outcome == "cancelling"
    mark = aged(support(spool, "cancel", f"{id}.json"))
    assert only(check(spool, repair=True)).level == "ok"
    assert mark.exists()


def test_a_key_whose_job_is_gone(spool: Spool) -> None:
    id = add(spool, idempotency_key="export-7")
    key = support(spool, "keys", key_file_name("key:export-7"))
    assert key.exists()
    spool.cancel([id])
    spool.purge([id])
    assert is_well(spool), "a purged job can come back from the trash"
    support(spool, "trash", f"{id}.json").unlink()
    assert assert_mended(spool, "key of no job").found.endswith(f"its job {id} is gone")
    assert not key.exists()
    assert spool.put([new_job(idempotency_key="export-7")])[0].outcome == "created"


def test_a_torn_key_file(spool: Spool) -> None:
    support(spool, "keys", "0" * 40).write_text('{"key": "a", "i')
    assert "torn" in assert_mended(spool, "key of no job").found


def test_a_key_that_is_being_used_stays(spool: Spool) -> None:
    with spool.keys.locked(["key:a"]):
        key = support(spool, "keys", key_file_name("key:a"))
        assert key.stat().st_size == 0
        assert only(check(spool, repair=True)).level == "ok"
        assert key.exists()


def test_a_key_that_is_removed_while_somebody_waits_for_it_is_made_anew(spool: Spool) -> None:
    """Otherwise the waiting one would hold the lock of a file that nobody else can see, and two jobs would be made."""
    name = key_file_name("key:a")
    got: list[bool] = []

    def wait_for_it() -> None:
        with spool.keys.locked(["key:a"]) as held:
            got.append(spool.keys.is_at(held["key:a"], name))

    with spool.keys.locked(["key:a"]):
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        while "flock" not in stack_of(waiting):
            time.sleep(0.001)
        files.remove(spool.folder.fds["keys"], name)
    waiting.join()
    assert got == [True]
    assert remove_key(spool, name)


def stack_of(thread: threading.Thread) -> str:
    """What the kernel says the thread waits for, as far as it says so."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "flock" if frame is not None and frame.f_code.co_name == "open_locked" else ""


def test_a_lock_of_nobody(spool: Spool) -> None:
    lock = support(spool, "locks", "worker-gone")
    lock.touch()
    assert is_well(spool), "its owner may be about to take it"
    aged(lock)
    assert_mended(spool, "lock of nobody")
    assert not lock.exists()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("/nonexistent")])
def test_a_lock_that_is_no_file(spool: Spool, make: Callable[[Path], object]) -> None:
    make(support(spool, "locks", "worker-x"))
    assert_reported(spool, "lock that is no file")
    assert spool.locks.alive("worker-x"), "nobody can tell, so nothing is taken from it"
    assert (spool.workers(), spool.rescue()) == ([], [])


def test_locks_of_the_living_and_of_maintenance_stay(spool: Spool) -> None:
    spool.locks.take("op-1")
    with spool.locks.hold("maintenance"):
        pass
    for lock in support(spool, "locks").iterdir():
        aged(lock)
    other = Spool(spool.path, durability="relaxed")
    assert only(check(other, repair=True)).level == "ok"
    other.close()
    assert {lock.name for lock in support(spool, "locks").iterdir()} == {"op-1", "maintenance"}


def test_the_file_of_a_dead_worker(spool: Spool) -> None:
    with other_worker(spool, 0) as kill:
        kill()
    for name in ("worker-other", "worker-other~2"):
        (spool.path / "claimed" / name).rmdir()
    assert_mended(spool, "file of a dead worker")
    assert list(support(spool, "workers").iterdir()) == []
    assert not support(spool, "locks", "worker-other").exists()


def test_the_file_of_a_live_worker_that_cannot_be_read(spool: Spool) -> None:
    owner = join(spool)
    support(spool, "workers", f"{owner}.json").write_text("{")
    assert_reported(spool, "unreadable worker file")


# Modes, control, journal


@pytest.mark.parametrize("name", ["", "tmp", "locks", "journal"])
def test_a_support_folder_with_a_wrong_mode(spool: Spool, name: str) -> None:
    folder = support(spool, name)
    folder.chmod(0o755)
    assert assert_mended(spool, "mode of a folder").found.endswith("is 0755")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", [".", "pending", "done"])
def test_a_folder_that_others_may_write_to(spool: Spool, name: str) -> None:
    (spool.path / name).chmod(0o770)
    found = assert_reported(spool, "mode of a folder")
    assert (found.level, found.found) == ("fail", f"{name} is 0770: others could run jobs as you")


def test_a_control_file_that_cannot_be_read(spool: Spool) -> None:
    support(spool, "control.json").write_text("{")
    assert assert_reported(spool, "control file").level == "fail"


def test_torn_journal_lines(spool: Spool) -> None:
    whole = msgspec.json.encode(AttemptEntry(job="a", type="scan", number=1, outcome="done")) + b"\n"
    support(spool, "journal", "20260101-1-abc.jsonl").write_bytes(whole + b'{"job": "b", "ty' + b"\n" + whole + b'{"jo')
    found = assert_reported(spool, "torn journal lines")
    assert "2 of 4 lines" in found.found


# The report


def test_many_of_a_kind_are_one_finding(spool: Spool) -> None:
    for number in range(7):
        aged_file(support(spool, "tmp", f"4194305-0123456789ab-{number}"))
    found = only(check(spool))
    assert found.found.startswith("7: ")
    assert found.found.endswith("; and 4 more")
    assert_mended(spool, "old temporary files")


def test_what_cannot_be_mended_is_said(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    aged_file(support(spool, "tmp", "4194305-0123456789ab-1"))

    def refuse(folder: int, name: str) -> None:
        raise PermissionError(1, "Operation not permitted", name)

    monkeypatch.setattr(files, "remove", refuse)
    finding = only(check(spool, repair=True))
    assert finding.level == "warn"
    assert "could not be mended" in finding.fix
    assert "Operation not permitted" in finding.fix


def test_a_look_that_fails_is_a_finding(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(spool.folder, "claim_folder_names", refuse)
    levels = {finding.what: finding.level for finding in check(spool)}
    assert levels["dead claims"] == "fail"


def test_a_removed_queue_is_a_finding_and_is_not_made_again(spool: Spool) -> None:
    id = add(spool)
    shutil.rmtree(spool.path)
    with pytest.raises(QueueFolderError, match="is gone"):
        spool.purge([id])
    assert spool.rescue() == []
    assert not spool.path.exists()
    assert "removed" in assert_reported(spool, "queue folder").found
