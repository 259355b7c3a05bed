"""What the generator and the fuzzers have found, or what an attacker might think of: each one small, and never again."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, handler
from jobqueue.errors import InvalidJob, UnreadableJob
from jobqueue.inert import inert
from jobqueue.model.json_value import DEEPEST
from jobqueue.model.request import read_record
from jobqueue.queue.config import Config
from jobqueue.store import codec, intake, layout
from jobqueue.store.codec import decode, encode
from jobqueue.worker.worker import Worker

LIMIT = 1 << 20


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", config=Config(durability="relaxed", settle_time=0.05)) as made:
        yield made


def drop(queue: Queue, name: str, document: Any) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    (folder_of(queue) / "pending" / ".dropped").write_bytes(data)
    (folder_of(queue) / "pending" / ".dropped").rename(folder_of(queue) / "pending" / name)


def drain(queue: Queue, *handlers: Any) -> None:
    Worker(queue, handlers or [scan]).run(drain=True)


@handler
def scan(**payload: Any) -> None:
    """Any payload will do."""


def folder_of(queue: Queue) -> Path:
    return queue.store.path


def names(queue: Queue, status: str) -> set[str]:
    return set(os.listdir(folder_of(queue) / status))


def read(document: bytes, id: str = "x") -> Any:
    return read_record(id, decode(document))


@pytest.mark.parametrize("field", ["run_after", "expires_at", "created_at"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_has_no_place_in_utc_ends_no_worker(queue: Queue, field: str, moment: str) -> None:
    drop(queue, "x.json", {"id": "x", "type": "scan", field: moment})
    drain(queue)
    assert names(queue, "failed") == {"x.json", "x.reason"}
    assert f"{field}: {moment} is out of range" in (folder_of(queue) / "failed" / "x.reason").read_text()


def test_a_time_out_of_range_in_a_forged_outcome_is_left_out(queue: Queue) -> None:
    moment = "9999-12-31T23:59:59-14:00"
    attempt = {"number": 1, "outcome": "failed", "finished_at": moment}
    forged = {"id": "x", "type": "scan", "written_by": "me", "history": [attempt], "progress": {"percent": 1, "at": moment}}
    drop(queue, "x.json", forged)
    drain(queue)
    assert names(queue, "done") == {"x.json"}
    assert queue.get("x").located.job.history == ()


@pytest.mark.parametrize(
    "name",
    [
        "10-20991399T996199123456d-7f3a9c2b.json",
        "10-20990230T000000000000d-7f3a9c2b.json",
        "10-99999999T999999999999d-7f3a9c2b.json",
        "10-00000000T000000000000d-7f3a9c2b.json",
        "10-٢٠٩٩١١٢٢T061500123456d-7f3a9c2b.json",
    ],
)
def test_a_name_that_looks_like_ours_and_says_an_impossible_time_is_opened_like_any_other(queue: Queue, name: str) -> None:
    assert not layout.is_ours(name)
    drop(queue, name, {"type": "scan"})
    drain(queue)
    assert names(queue, "done") == {name}


def nested(levels: int) -> list[Any]:
    return [] if levels == 1 else [nested(levels - 1)]


def test_a_payload_as_deep_as_it_may_be_can_be_read_again(queue: Queue) -> None:
    job = queue.enqueue("scan", {"x": nested(DEEPEST)})
    drain(queue)
    assert queue.get(job.id).status == "done"


@pytest.mark.parametrize("foreign", [True, False])
def test_keys_that_mean_nothing_here_can_be_read_again_however_deep_they_are(queue: Queue, foreign: bool) -> None:
    deep = {"note": nested(DEEPEST + 1)}
    drop(queue, "x.json", {"type": "scan"} | (deep if foreign else {"extra": deep}))
    drop(queue, "too-deep.json", {"type": "scan", "note": nested(DEEPEST + 2)})
    drain(queue)
    assert names(queue, "done") == {"x.json"}
    assert queue.get("x").located.job.extra == deep
    assert "too-deep.json" in names(queue, "failed")


def test_a_result_as_deep_as_it_may_be_can_be_read_again(queue: Queue) -> None:
    @handler
    def deep() -> Any:
        return nested(DEEPEST + 1)

    job = queue.enqueue("deep")
    drain(queue, deep)
    assert queue.get(job.id).result() == nested(DEEPEST + 1)


def test_a_number_as_a_name_is_no_longer_than_a_text_may_be() -> None:
    assert read(b'{"type": "scan", "project": ' + b"9" * 1000 + b"}").project == "9" * 1000
    with pytest.raises(UnreadableJob, match="project: 1001 characters are too many"):
        read(b'{"type": "scan", "project": ' + b"9" * 1001 + b"}")


LONG = "x\n\x9b\u2028" * 5000
REFUSED = {
    "key of the payload": {"type": "scan", "payload": {LONG: "\ud800"}},
    "key of the document": {"type": "scan", LONG: "\ud800"},
    "keys on the way": {"type": "scan", "payload": {"k" * 79: {"k" * 78: {"k" * 77: {"k" * 76: "\ud800"}}}}},
    "time": {"type": "scan", "run_after": LONG},
    "duration": {"type": "scan", "timeout": LONG},
    "negative": {"type": "scan", "timeout": -int("9" * 3000)},
    "backoff": {"type": "scan", "backoff": {LONG: 1}},
    "factor": {"type": "scan", "backoff": {"factor": LONG}},
    "priority": {"type": "scan", "priority": int("9" * 3000)},
    "attempts": {"type": "scan", "max_attempts": int("9" * 3000)},
    "crashes": {"type": "scan", "max_crashes": LONG},
    "tags": {"type": "scan", "tags": [LONG] * 101},
    "parents": {"type": "scan", "after": [LONG] * 10_001},
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_a_reason_is_one_short_line_whatever_stands_in_the_file(document: dict[str, Any]) -> None:
    with pytest.raises(UnreadableJob) as caught:
        read(json.dumps(document).encode())
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_a_number_that_python_cannot_print_is_refused_in_words(queue: Queue) -> None:
    with pytest.raises(InvalidJob, match="priority: a number of thousands of digits is out of range"):
        queue.enqueue("scan", priority=10**5000)


class Steps:
    """Counts how often a part of a path is made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from jobqueue.model import json_value

        self.count = 0
        original = json_value.step

        def step(key: str | int) -> str:
            self.count += 1
            return original(key)

        monkeypatch.setattr(json_value, "step", step)


def test_no_path_is_made_for_a_value_that_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one for each, a key of half a megabyte before 150,000 values was copied 150,000 times: seconds for each look."""
    steps = Steps(monkeypatch)
    document = {"type": "scan", "payload": {"k" * 500_000: [[] for _ in range(150_000)], "é": "é"}}
    read(json.dumps(document).encode())
    assert steps.count == 0
    document["payload"]["k" * 500_000][-1] = ["\ud800"]
    with pytest.raises(UnreadableJob):
        read(json.dumps(document).encode())
    assert steps.count == 4


def test_the_thousandth_file_of_one_name_costs_some_twenty_looks() -> None:
    taken = {"x.json"}
    for number in range(1, 1000):
        looks: list[str] = []
        name = layout.free_name("x.json", lambda name, looks=looks: looks.append(name) or name in taken)
        assert name == f"x~{number}.json"
        assert len(looks) <= 22
        taken.add(name)


def test_a_free_name_is_free_also_where_numbers_are_missing() -> None:
    taken = {"x~7.json", *(f"x~{number}.json" for number in (8, 9, 11, 15, 16, 17, 30, 400))}
    name = layout.free_name("x~7.json", taken.__contains__)
    assert name not in taken
    assert name.startswith("x~")
    assert layout.free_name("x~8.json", set().__contains__) == "x~8.json"


def test_dropping_the_same_name_again_and_again_costs_each_time_the_same(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = [0]
    original = type(queue.store.folder).taken

    def taken(folder: Any, name: str) -> bool:
        probes[0] += 1
        return original(folder, name)

    monkeypatch.setattr(type(queue.store.folder), "taken", taken)
    for number in range(100):
        (folder_of(queue) / "done" / ("x.json" if number == 0 else f"x~{number}.json")).write_bytes(b'{"type": "scan"}')
    drop(queue, "x.json", {"type": "scan"})
    drain(queue)
    assert "x~100.json" in names(queue, "done")
    assert probes[0] <= 16


@pytest.mark.parametrize("char", ["\n", "\r", "\x1b", "\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\u200b", "\x7f", "\udcff"])
def test_a_name_is_shown_in_one_line_that_moves_no_cursor(char: str) -> None:
    assert inert(f"a{char}b é.json").isprintable()
    assert inert("é漢 b.json") == "é漢 b.json"


def test_a_file_does_not_grow_beyond_what_may_be_read_by_being_written(queue: Queue) -> None:
    """Indented, a number under 90 brackets took 200 bytes: a file of one megabyte became one of a hundred."""
    document = b'{"type":"scan","payload":{"x":' + b"[" * 90 + b",".join([b"0"] * 400_000) + b"]" * 90 + b"}}"
    drop(queue, "x.json", document)
    drain(queue)
    assert (folder_of(queue) / "done" / "x.json").stat().st_size < len(document) + 1000
    queue.retry("x")
    drain(queue)
    assert names(queue, "done") == {"x.json"}


def test_small_files_are_written_for_people() -> None:
    assert encode(read(b'{"type": "scan", "payload": {"a": [1, 2]}}')).count(b"\n") == 10
    assert encode(read(json.dumps({"type": "scan", "payload": {"a": "x" * codec.PRETTY}}).encode())).count(b"\n") == 1


def test_a_sparse_file_under_one_of_our_own_names_is_not_read_to_its_end(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = intake.read_all

    def read_all(file: int, size: int) -> bytes:
        data = original(file, size)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(intake, "read_all", read_all)
    name = "10-20261122T061500123456-7f3a9c2b.json"
    with (folder_of(queue) / "pending" / name).open("wb") as file:
        file.write(b'{"type": "scan", "payload": {"x": "')
        file.truncate(intake.LARGEST)
    drain(queue)
    assert name in names(queue, "failed")
    assert max(sizes) <= intake.PART


def test_a_large_file_of_our_own_is_read_to_its_end(tmp_path: Path) -> None:
    data = b'{"type": "scan", "payload": {"x": "' + b"x" * (3 * intake.PART) + b'"}}'
    (tmp_path / "x").write_bytes(data)
    file = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        assert intake.read_all(file, len(data)) == data
    finally:
        os.close(file)


def test_a_large_job_of_our_own_that_was_half_saved_is_not_measured_like_a_dropped_one(queue: Queue) -> None:
    """It has grown by its history; an editor that saves in place leaves half of it for a moment."""
    name = "10-20261122T061500123456-7f3a9c2b.json"
    whole = json.dumps({"type": "scan", "payload": {}, "note": "x" * (2 * LIMIT)}).encode()
    drop(queue, name, whole[:-1])
    claiming = queue.store.claiming
    owner = queue.store.join(worker_info())
    assert queue.store.claim(owner) == []
    (folder_of(queue) / "pending" / name).write_bytes(whole)
    mark, seen_at = claiming.strangers.settling.since[name]
    claiming.strangers.settling.since[name] = (mark, seen_at - 60)
    claiming.look_up_at = 0.0
    assert [claim.job.id for claim in queue.store.claim(owner)] == [layout.job_id(name)]
    queue.store.leave(owner)


def worker_info() -> Any:
    from datetime import datetime, timezone

    from jobqueue.store.base import WorkerInfo

    return WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=datetime.now(timezone.utc))


@pytest.fixture
def mounted() -> Iterator[Any]:
    made: list[Path] = []

    def mount(source: Path, path: Path) -> None:
        done = subprocess.run(["mount", "--bind", source, path], capture_output=True, text=True) if os.geteuid() == 0 else None
        if done is None or done.returncode:
            pytest.skip(f"no mounts here: {done.stderr if done else 'only root may'}")
        made.append(path)

    yield mount
    for path in made:
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("data", [b'{"type": "scan"}', b"{"], ids=["job", "no job"])
def test_a_file_that_something_is_mounted_on_stops_nothing(
    queue: Queue, mounted: Any, tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "source").write_bytes(data)
    drop(queue, "fixed.json", b"")
    mounted(tmp_path / "source", folder_of(queue) / "pending" / "fixed.json")
    drop(queue, "good.json", {"type": "scan"})
    drop(queue, "bad.json", b"{")
    drain(queue)
    assert names(queue, "done") == {"good.json"}
    assert names(queue, "failed") == {"bad.json", "bad.reason"}
    assert sum("fixed.json" in record.getMessage() for record in caplog.records) == 1


def test_odd_names_stay_in_one_line_of_the_log(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "jobqueue")
    drop(queue, "one\nCRITICAL\u2028two.json", {"type": "scan\nCRITICAL"})
    drain(queue)
    assert [record.getMessage() for record in caplog.records if "one" in record.getMessage()]
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_a_job_that_claims_the_most_attempts_there_may_be_ends_like_any_other(queue: Queue) -> None:
    drop(queue, "x.json", {"type": "scan", "written_by": "me", "attempts": 1_000_000, "max_attempts": 1})
    drain(queue)
    assert queue.get("x").status == "done"
    assert queue.get("x").located.job.attempts == 1_000_000


def test_an_outcome_with_a_huge_number_can_be_read_again_whatever_the_name_of_its_file(queue: Queue) -> None:
    """Its id was written with a backslash, which had the whole document checked by the rule for payloads."""
    number = int("9" * 4100)
    attempt = {"number": 1, "outcome": "failed", "error": {"exit_code": number}}
    drop(queue, os.fsdecode(b"latin-\xe9.json"), {"type": "scan", "written_by": "me", "history": [attempt]})
    drain(queue)
    assert queue.get(os.fsdecode(b"latin-\xe9")).located.job.history[0].error.exit_code == number


NOT_UTF_8 = os.fsdecode(b"latin-\xe9")


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_file_whose_name_is_not_utf_8_runs_wherever_handlers_run(queue: Queue, tmp_path: Path, executor: str) -> None:
    """It ended every worker with processes that met it: its id could not be sent to them."""
    (tmp_path / "handlers.py").write_text("from jobqueue import handler\n@handler\ndef scan(ctx):\n    return ascii(ctx.id)\n")
    drop(queue, f"{NOT_UTF_8}.json", {"type": "scan"})
    Worker(queue, str(tmp_path / "handlers.py"), executor=executor).run(drain=True)
    assert queue.get(NOT_UTF_8).result() == ascii(NOT_UTF_8)


@pytest.mark.parametrize("scope", [{"idempotency_key": "k"}, {"concurrency_key": "k", "on_conflict": "supersede"}])
def test_a_key_can_be_held_by_a_file_whose_name_is_not_utf_8(queue: Queue, scope: dict[str, Any]) -> None:
    """It ended the worker: neither the note of the key nor the end of the other could be written."""
    drop(queue, f"{NOT_UTF_8}.json", {"type": "scan"} | scope)
    drain(queue)
    drop(queue, "other.json", {"type": "scan"} | scope)
    drop(queue, f"{NOT_UTF_8}2.json", {"type": "scan"} | scope)
    drain(queue)
    assert queue.get(NOT_UTF_8).status == "done"
    if "idempotency_key" in scope:
        error = queue.get("other").located.job.error
        assert error is not None
        assert error.message == "its idempotency key is held by " + NOT_UTF_8.encode("utf-8", "backslashreplace").decode()
        assert queue.get(f"{NOT_UTF_8}2").status == "failed"
