"""Files that people drop into pending/: the table "Dropped files" of the protocol, row by row, with real files."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue.errors import JobNotFound
from jobqueue.model.status import Status
from jobqueue.store import claiming, files, intake
from jobqueue.store.intake import look
from jobqueue.store.spool import Spool

GOOD = b'{"type": "scan", "payload": {"repo": "octo/cat"}}'

HOSTILE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("empty",)),
    "white-space": (b" \n\t\n", ("white space",)),
    "nuls": (b"\0" * 4096, ("NUL",)),
    "half": (GOOD[:30], ("line 1, column 30", "Unterminated")),
    "half-of-an-object": (GOOD[:16], ("line 1, column 17", "ends too early")),
    "half-on-line-3": (b'{\n  "type": "scan",\n  "payl', ("line 3, column 3",)),
    "utf-16": (GOOD.decode().encode("utf-16"), ("line 1, column 1", "UTF-16")),
    "bad-utf-8": (b'{"type":\n "sc\xffan"}', ("line 2, column 5", "UTF-8")),
    "gzip": (gzip.compress(GOOD), ("line 1, column 2", "gzip")),
    "line-comment": (b'{"type": "scan"\n // why\n}', ("line 2, column 2", "comments")),
    "block-comment": (b'/* why */\n{"type": "scan"}', ("line 1, column 1", "comments")),
    "hash-comment": (b'{\n# why\n"type": "scan"}', ("line 2, column 1", "comments")),
    "trailing-bytes": (GOOD + b"\nzzz", ("line 2, column 1", "nothing behind it")),
    "two-documents": (GOOD + b"\n" + GOOD, ("line 2, column 1", "nothing behind it")),
    "trailing-comma": (b'{"type": "scan",}', ("line 1, column 1", "comma")),
    "single-quotes": (b"{'type': 'scan'}", ("line 1, column 2", "double quotes")),
    "nan": (b'{"type": "scan", "payload": {"x": NaN}}', ("NaN is not JSON",)),
    "infinity": (b'{"type": "scan", "payload": {"x": Infinity}}', ("Infinity is not JSON",)),
    "minus-infinity": (b'{"type": "scan", "payload": {"x": -Infinity}}', ("-Infinity is not JSON",)),
    "1e999": (b'{"type": "scan", "payload": {"x": 1e999}}', ("a number is too large for a float",)),
    "duplicate-keys": (b'{"type": "scan", "type": "other"}', ("'type' stands twice",)),
    "duplicate-keys-inside": (b'{"type": "scan", "payload": {"a": 1, "a": 2}}', ("'a' stands twice",)),
    "5000-digits": (b'{"type": "scan", "payload": {"x": ' + b"9" * 5000 + b"}}", ("digits",)),
    "lone-surrogate": (rb'{"type": "scan", "payload": {"x": "\ud800"}}', ("surrogate",)),
    "lone-surrogate-key": (rb'{"type": "scan", "payload": {"\udfff": 1}}', ("surrogate",)),
    "nested-lists": (b"[" * 100_000 + b"]" * 100_000, ("nested",)),
    "nested-objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, ("nested",)),
    "nested-101": (b'{"type": "scan", "payload": {"x": ' + b"[" * 101 + b"]" * 101 + b"}}", ("nested",)),
    "a-list": (b"[1, 2]", ("not a JSON object",)),
    "null": (b"null", ("not a JSON object",)),
    "no-type": (b'{"payload": {}}', ("type: missing",)),
    "type-null": (b'{"type": null}', ("type",)),
    "type-number": (b'{"type": 7}', ("type: 7",)),
    "type-too-long": (b'{"type": "' + b"x" * 20_001 + b'"}', ("type:",)),
    "payload-list": (b'{"type": "scan", "payload": [1]}', ("payload:",)),
    "forged-max-attempts": (b'{"type": "scan", "max_attempts": 1000000}', ("max_attempts",)),
    "forged-timeout": (b'{"type": "scan", "timeout": -1}', ("timeout",)),
    "forged-priority": (b'{"type": "scan", "priority": -5}', ("priority",)),
    "too-large": (b'{"type": "scan", "payload": {"x": "' + b"x" * (1 << 20) + b'"}}', ("1,048,", "limit")),
}


@pytest.fixture(params=HOSTILE, name="hostile")
def hostile_bytes(request: pytest.FixtureRequest) -> tuple[bytes, tuple[str, ...]]:
    return HOSTILE[request.param]


def reason_of(bench: Any, name: str) -> str:
    reason: str = bench.spool.get(name.removesuffix(".json")).reason
    text = (bench.path / "failed" / (name.removesuffix(".json") + ".reason")).read_bytes().decode("utf-8", "surrogateescape")
    assert text.startswith(reason)
    return text


def is_aside(bench: Any, *names: str) -> Callable[[], bool]:
    return lambda: all((bench.path / "failed" / name).is_symlink() or (bench.path / "failed" / name).exists() for name in names)


def is_done(bench: Any, *names: str) -> Callable[[], bool]:
    return lambda: set(names) <= bench.names("done")


# -- set aside: bytes untouched, the reason beside, reported once


def test_set_aside(bench: Any, hostile: tuple[bytes, tuple[str, ...]], looks: list[str], said: Callable[[str], int]) -> None:
    data, fragments = hostile
    bench.drop("bad.json", data)
    bench.drop("good.json", GOOD)
    assert [claim.job.id for claim in bench.claim()] == ["good"]  # at once, whatever lies beside it
    bench.work_until(is_aside(bench, "bad.json"))
    assert bench.names("pending") == set()
    assert (bench.path / "failed" / "bad.json").read_bytes() == data
    reason = reason_of(bench, "bad.json")
    for fragment in fragments:
        assert fragment in reason.splitlines()[0]
    assert len(looks) < 12
    looked = len(looks)
    for _ in range(20):
        bench.work()
    assert len(looks) == looked
    assert said("bad.json") == 1
    assert bench.ran == []
    assert bench.spool.get("bad").reason


def test_good_jobs_run_at_once_among_hostile_ones(bench: Any) -> None:
    for name, (data, _) in HOSTILE.items():
        bench.drop(f"{name}.json", data)
    for number in range(5):
        bench.drop(f"good-{number}.json", GOOD)
    assert {claim.job.id for claim in bench.claim()} == {f"good-{number}" for number in range(5)}
    bench.work_until(is_aside(bench, *(f"{name}.json" for name in HOSTILE)))
    for name, (data, _) in HOSTILE.items():
        assert (bench.path / "failed" / f"{name}.json").read_bytes() == data
    assert bench.ran == []


def test_a_thousand_hostile_files_do_not_delay_a_good_one(bench: Any, looks: list[str]) -> None:
    for number in range(1000):
        bench.drop(f"bad-{number:04}.json", b"{")
    bench.drop("good.json", GOOD)
    assert [claim.job.id for claim in bench.claim(limit=1)] == ["good"]
    bench.work_until(lambda: len(bench.names("failed")) == 2000)
    assert len(looks) < 4000


def test_the_reason_says_how_to_bring_it_back_and_that_command_does(bench: Any) -> None:
    names = ["plain.json", "two words.json", "$(touch pwned).json", "a'b\"c.json", "-rf.json", "*.json", "new\nline.json"]
    names += ["`x`.json", os.fsdecode(b"latin-\xe9.json")]
    for name in names:
        bench.drop(name, b"{")
    bench.work_until(is_aside(bench, *names))
    for name in names:
        command = reason_of(bench, name).split("\n\n", 1)[1].split("\n", 1)[1].strip()
        subprocess.run(["sh", "-c", os.fsencode(command)], cwd=bench.path, check=True)
        assert (bench.pending / name).exists(), name
    assert not (bench.path / "pwned").exists()


def test_mended_and_moved_back_it_runs_under_its_own_name(bench: Any) -> None:
    bench.drop("x.json", b"{")
    bench.work_until(is_aside(bench, "x.json"))
    aside = bench.path / "failed" / "x.json"
    aside.rename(bench.pending / "x.json")
    bench.work_until(is_aside(bench, "x.json"))  # still wrong: aside again, under the same name
    assert bench.names("failed") == {"x.json", "x.reason"}
    aside.write_bytes(GOOD)
    aside.rename(bench.pending / "x.json")
    bench.work_until(is_done(bench, "x.json"))
    assert bench.ran == ["x"]


def test_a_retry_looks_at_a_rejected_file_again(bench: Any) -> None:
    bench.drop("x.json", b"{")
    bench.work_until(is_aside(bench, "x.json"))
    (bench.path / "failed" / "x.json").write_bytes(GOOD)
    assert [change.outcome for change in bench.spool.retry(["x"])] == ["changed"]
    bench.work_until(is_done(bench, "x.json"))
    assert bench.names("failed") == set()


def test_a_file_that_is_no_job_cannot_be_cancelled_and_stays_where_it_is(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(settle_time=60)
    bench.drop("half.json", b"{")
    assert bench.work() == []
    (change,) = bench.spool.cancel(["half"])
    assert change.outcome == "refused"
    assert bench.names("pending") == {"half.json"}


# -- still being written


def test_a_slow_writer_is_waited_for(bench: Any, looks: list[str]) -> None:
    with (bench.pending / "slow.json").open("wb", buffering=0) as file:
        file.write(GOOD[:20])
        bench.work_until(lambda: looks.count("slow.json") >= 4)  # several settle times
        assert bench.names("failed") == set()
        file.write(GOOD[20:])
        looks.clear()
        bench.work_until(lambda: looks.count("slow.json") >= 2)  # whole by now, and yet still open
        assert bench.ran == []
    bench.work_until(is_done(bench, "slow.json"))
    assert bench.jobs[0].payload == {"repo": "octo/cat"}


def test_a_slow_writer_costs_no_busy_loop(make_bench: Callable[..., Any], looks: list[str]) -> None:
    bench = make_bench(settle_time=0)
    passes = []
    with (bench.pending / "slow.json").open("wb", buffering=0) as file:
        file.write(GOOD[:20])
        for _ in range(8):
            bench.work()
            passes.append(bench.spool.wait(0.2))
        assert len(looks) < 60
    assert bench.names("failed") == set()


def test_half_written_without_a_writer_gets_the_settle_time(make_bench: Callable[..., Any], looks: list[str]) -> None:
    bench = make_bench(settle_time=60)
    path = bench.drop("half.json", GOOD[:20])
    for _ in range(5):
        assert bench.work() == []
    assert bench.names("pending") == {"half.json"}
    path.write_bytes(GOOD)
    bench.spool.wait(0)  # the first wait starts the watch
    path.write_bytes(GOOD)
    bench.work_until(is_done(bench, "half.json"))


def test_every_change_starts_the_settle_time_again(bench: Any, looks: list[str]) -> None:
    path = bench.drop("grows.json", GOOD[:10])
    for size in range(11, len(GOOD)):
        before = looks.count("grows.json")
        path.write_bytes(GOOD[:size])
        bench.work_until(lambda before=before: looks.count("grows.json") > before)
        assert bench.names("pending") == {"grows.json"}
        if size > 16:
            break
    path.write_bytes(GOOD)
    bench.work_until(is_done(bench, "grows.json"))
    assert bench.names("failed") == set()


def test_each_file_has_a_settle_time_of_its_own(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(settle_time=60)
    for name in ("old", "new"):
        bench.drop(f"{name}.json", b"{")
    assert bench.work() == []
    since = bench.spool.claiming.strangers.settling.since
    mark, seen_at = since.pop("old.json")
    first_seen = {"old.json": (mark, seen_at - 100), **since}
    since.clear()
    since.update(first_seen)
    assert bench.work() == []
    assert bench.names("pending") == {"new.json"}


def test_a_change_starts_the_settle_time_of_that_file_again() -> None:
    settling = intake.Settling(60)
    assert settling.left("x", (1, 1, 1)) == 60
    settling.since["x"] = ((1, 1, 1), settling.since["x"][1] - 100)
    assert settling.left("x", (1, 1, 1)) < 0
    for changed in ((2, 1, 1), (1, 2, 1), (1, 1, 2)):
        assert settling.left("x", changed) == 60
        settling.since["x"] = ((1, 1, 1), settling.since["x"][1] - 100)


def test_cp_and_mv(bench: Any, tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_bytes(GOOD)
    subprocess.run(["cp", source, bench.pending / "copied.json"], check=True)
    subprocess.run(["mv", source, bench.pending / "moved.json"], check=True)
    bench.work_until(is_done(bench, "copied.json", "moved.json"))


def test_an_editor_that_saves_by_renaming(bench: Any) -> None:
    old = b'{"type": "scan", "run_after": "2099-01-01T00:00:00Z", "payload": {"version": "old"}}'
    path = bench.drop("job.json", old)
    assert bench.work() == []
    bench.spool.wait(0)
    (bench.pending / ".job.json.swp").write_bytes(b"vim")
    (bench.pending / "4913").write_bytes(b"")
    (bench.pending / "4913").unlink()
    path.rename(bench.pending / "job.json~")
    path.write_bytes(b'{"type": "scan", "payload": {"version": "new"}}')
    bench.work_until(is_done(bench, "job.json"))
    assert bench.jobs[0].payload == {"version": "new"}
    assert bench.names("pending") == {".job.json.swp", "job.json~"}


def test_names_that_are_never_touched(bench: Any, looks: list[str]) -> None:
    ignored = {".hidden.json", "x.json.swp", "x.json~", "x.tmp", "x.json.part", "#x.json#", "#x.json", "4913", ".nfs000123"}
    ignored |= {".json", "README", "x.JSON", "x.jsonl", "json", "x.json.gz", "x.reason", ".x.json.swp"}
    for name in ignored:
        bench.drop(name, b"{")
    bench.drop("good.json", GOOD)
    bench.work_until(is_done(bench, "good.json"))
    bench.drop("bad.json", b"{")
    bench.work_until(is_aside(bench, "bad.json"))
    assert bench.names("pending") == ignored
    assert set(looks) == {"good.json", "bad.json"}
    assert bench.spool.counts()[Status.PENDING] == 0


# -- what is not a plain file


def aside_link(bench: Any, name: str, target: str) -> None:
    os.symlink(target, bench.pending / name)


@pytest.mark.parametrize("target", ["/dev/zero", "link.json", "/nonexistent", "other.json", "/etc/passwd", "../.."])
def test_a_symlink_is_never_followed(bench: Any, target: str) -> None:
    bench.drop("good.json", GOOD)
    (bench.path / "other.json").write_bytes(GOOD)
    aside_link(bench, "link.json", target)
    bench.work_until(is_aside(bench, "link.json"))
    assert os.readlink(bench.path / "failed" / "link.json") == target
    assert "symlink" in reason_of(bench, "link.json")
    bench.work_until(lambda: bench.ran == ["good"])
    assert (bench.path / "other.json").read_bytes() == GOOD


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_takes_a_files_place_before_it_is_opened_is_not_read(
    bench: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses to follow a link, and no FIFO blocks the open."""
    secret = tmp_path / "secret.json"
    secret.write_bytes(GOOD)
    path = bench.drop("x.json", GOOD)
    original = files.open_to_look

    def swap_and_open(folder: int, name: str) -> int:
        path.unlink()
        path.symlink_to(secret) if kind == "link" else os.mkfifo(path)
        return original(folder, name)

    monkeypatch.setattr(files, "open_to_look", swap_and_open)
    seen = look(bench.spool.folder.pending, "x.json")
    assert seen.job is None
    assert seen.skip.startswith("cannot be opened" if kind == "link" else "busy")


def test_a_hard_link_is_set_aside_and_its_other_name_untouched(bench: Any) -> None:
    other = bench.path / "elsewhere"
    other.write_bytes(GOOD)
    os.link(other, bench.pending / "linked.json")
    bench.work_until(is_aside(bench, "linked.json"))
    assert "hard link" in reason_of(bench, "linked.json")
    assert other.read_bytes() == GOOD
    assert bench.ran == []


def test_a_hard_link_under_one_of_our_own_names(bench: Any) -> None:
    other = bench.path / "elsewhere"
    other.write_bytes(GOOD)
    os.link(other, bench.pending / "10-20261122T000000000000-00000000.json")
    bench.work_until(lambda: bench.names("pending") == set())
    assert bench.ran == []


def test_fifo_socket_and_device_are_never_opened(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["fifo.json", "socket.json"]
    os.mkfifo(bench.pending / "fifo.json")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(bench.pending)  # the path of a socket may be 107 bytes long
        try:
            server.bind("socket.json")
        finally:
            os.chdir(here)
    if os.geteuid() == 0:
        os.mknod(bench.pending / "device.json", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        names.append("device.json")
    opened = []
    original = os.open
    monkeypatch.setattr(intake.os, "open", lambda path, *rest, **more: (opened.append(path), original(path, *rest, **more))[1])
    bench.drop("good.json", GOOD)
    bench.work_until(is_aside(bench, *names))
    assert not set(names) & set(opened)
    assert bench.ran == ["good"]
    kinds = {name: reason_of(bench, name).split(";")[0] for name in names}
    assert kinds["fifo.json"] == "a FIFO"
    assert kinds["socket.json"] == "a socket"
    assert kinds.get("device.json", "a device") == "a device"


def test_a_sparse_file_of_256_gib_is_judged_by_its_size(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = intake.read
    monkeypatch.setattr(intake, "read", lambda file, name, *rest: (read.append(name), original(file, name, *rest))[1])
    try:
        with (bench.pending / "sparse.json").open("wb") as file:
            file.truncate(256 << 30)
    except OSError as error:
        pytest.skip(f"no sparse files here: {error}")
    bench.drop("good.json", GOOD)
    bench.work_until(is_aside(bench, "sparse.json"))
    bench.work_until(lambda: bench.ran == ["good"])
    assert "sparse.json" not in read
    assert (bench.path / "failed" / "sparse.json").stat().st_size == 256 << 30
    assert "274,877,906,944" in reason_of(bench, "sparse.json")


def test_a_folder_named_like_a_job_stays_and_is_reported_once(bench: Any, said: Callable[[str], int]) -> None:
    (bench.pending / "folder.json").mkdir()
    (bench.pending / "folder.json" / "inner.json").write_bytes(GOOD)
    bench.drop("good.json", GOOD)
    bench.work_until(lambda: bench.ran == ["good"])
    bench.drop("bad.json", b"{")
    bench.work_until(is_aside(bench, "bad.json"))
    assert bench.names("pending") == {"folder.json"}
    assert said("folder.json") == 1


def test_a_file_that_becomes_a_folder_while_it_settles_costs_no_busy_loop(bench: Any, looks: list[str]) -> None:
    path = bench.drop("x.json", b"{")
    assert bench.work() == []
    path.unlink()
    path.mkdir()
    bench.work_until(lambda: not bench.spool.claiming.strangers.settling.since)
    looks.clear()
    for _ in range(10):
        assert bench.work() == []
        bench.spool.wait(0.01)
    assert len(looks) <= 1


# -- names


ODD_NAMES = {
    "not-utf-8": os.fsdecode(b"\xff\xfe-\xe9.json"),
    "newline": "one\ntwo.json",
    "leading-dash": "-rf.json",
    "substitution": "$(touch pwned).json",
    "glob": "*?[a].json",
    "spaces": "  two  words  .json",
    "quotes": "'\";`.json",
    "escape": "\x1b[31mred.json",
    "255-bytes": "n" * 250 + ".json",
    "255-bytes-of-utf-8": "é" * 125 + ".json",
    "ends-like-a-copy": "report~7.json",
    "percent": "%s%n%d.json",
}


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_odd_names_run_and_are_found_by_them(bench: Any, name: str) -> None:
    bench.drop(name, GOOD)
    assert bench.spool.get(name.removesuffix(".json")).status is Status.PENDING
    bench.work_until(is_done(bench, name))
    located = bench.spool.get(name.removesuffix(".json"))
    assert located.status is Status.DONE
    assert located.job.payload == {"repo": "octo/cat"}
    assert [change.outcome for change in bench.spool.retry([located.job.id])] == ["changed"]
    bench.work_until(is_done(bench, name))
    assert not (bench.path / "pwned").exists()


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_odd_names_are_set_aside(bench: Any, name: str) -> None:
    bench.drop(name, b"{")
    bench.work_until(lambda: bench.names("pending") == set() and len(bench.names("failed")) == 2)
    assert (bench.path / "failed" / name).read_bytes() == b"{"
    assert bench.spool.get(name.removesuffix(".json")).reason


def test_long_names_that_differ_at_their_end_keep_their_own_reasons(bench: Any) -> None:
    one, two = "n" * 249 + "a.json", "n" * 249 + "b.json"
    bench.drop(one, b"{")
    bench.drop(two, b"[")
    bench.work_until(lambda: bench.names("pending") == set() and len(bench.names("failed")) == 4)
    contents = {path.read_bytes() for path in (bench.path / "failed").iterdir() if path.name.endswith(".json")}
    assert contents == {b"{", b"["}


def test_the_same_name_again_keeps_both(bench: Any) -> None:
    for version in range(3):
        bench.drop("x.json", json.dumps({"type": "scan", "payload": {"version": version}}))
        (claim,) = bench.claim()
        assert claim.job.id == ("x", "x~1", "x~2")[version]  # while it runs, too, no other job has its id
        assert bench.finish(claim)
    assert bench.names("done") == {"x.json", "x~1.json", "x~2.json"}
    assert {bench.spool.get(id).job.payload["version"] for id in ("x", "x~1", "x~2")} == {0, 1, 2}


def test_the_same_name_again_and_again_while_the_others_still_run(bench: Any) -> None:
    claims = []
    for version in range(4):
        bench.drop("x.json", json.dumps({"type": "scan", "payload": {"version": version}}))
        claims += bench.claim()
    assert [claim.job.payload["version"] for claim in claims] == [0, 1, 2, 3]
    assert len({claim.job.id for claim in claims}) == 4
    assert all(bench.finish(claim, claim.job.payload["version"]) for claim in claims)
    for claim in claims:
        assert bench.spool.get(claim.job.id).job.result == claim.job.payload["version"]


def test_the_same_long_name_again(bench: Any) -> None:
    name = "n" * 250 + ".json"
    for version in range(3):
        bench.drop(name, json.dumps({"type": "scan", "payload": {"version": version}}))
        bench.work_until(lambda version=version: len(bench.names("done")) == version + 1)
    assert all(len(os.fsencode(name)) <= 255 for name in bench.names("done"))


def test_the_same_name_rejected_while_a_failed_job_has_it(bench: Any) -> None:
    (bench.path / "failed" / "x.json").write_bytes(GOOD)
    bench.drop("x.json", b"{")
    bench.work_until(lambda: bench.names("pending") == set())
    assert (bench.path / "failed" / "x.json").read_bytes() == GOOD
    assert (bench.path / "failed" / "x~1.json").read_bytes() == b"{"
    assert bench.names("failed") == {"x.json", "x~1.json", "x~1.reason"}


# -- what stands in the file


def test_a_byte_order_mark_is_accepted(bench: Any) -> None:
    bench.drop("bom.json", b"\xef\xbb\xbf" + GOOD)
    bench.work_until(is_done(bench, "bom.json"))


@pytest.mark.parametrize("mtime", [0, -1, 4_070_908_800, 2**33])
def test_the_mtime_has_no_effect(bench: Any, mtime: int) -> None:
    path = bench.drop("good.json", GOOD)
    os.utime(path, (mtime, mtime))
    assert bench.work() == ["good"]
    bad = bench.drop("bad.json", b"{")
    os.utime(bad, (mtime, mtime))
    bench.work_until(is_aside(bench, "bad.json"))


@pytest.mark.parametrize("id", ["../../escape", "forged"])
def test_forged_control_fields_are_ignored(bench: Any, id: str) -> None:
    forged = {
        "type": "scan",
        "id": id,
        "status": "done",
        "attempts": 99,
        "owner": "worker-1",
        "locked_by": "worker-1",
        "claimed_at": "2020-01-01T00:00:00Z",
        "finished_at": "2020-01-01T00:00:00Z",
        "error": {"reason": "cancelled", "message": "forged"},
        "result": {"forged": True},
        "history": [{"number": 1, "outcome": "done"}],
        "progress": None,
    }
    if id == "forged":  # then it looks like one of our own files, down to the names of its fields
        del forged["owner"], forged["status"]
    bench.drop("forged.json", json.dumps(forged))
    (claim,) = bench.claim()
    job = claim.job
    assert (job.id, job.attempts, job.history, job.error, job.result) == ("forged", 0, (), None, None)
    assert (job.locked_by, job.claimed_at, job.finished_at, job.progress) == (None, None, None, None)
    assert job.extra.get("owner") == ("worker-1" if id != "forged" else None)
    assert bench.finish(claim)
    assert bench.names("done") == {"forged.json"}


@pytest.mark.parametrize("written_by", ["here", "second", "worker-1", "../x", ""])
def test_a_forged_writer_does_not_pass_for_a_recorded_outcome(bench: Any, written_by: str) -> None:
    """Even a file that names the claimer's own folder is run, and is run again when its worker dies."""
    owner = {"here": bench.owner, "second": bench.owner + "~2"}.get(written_by, written_by)
    forged = {"id": "x", "type": "scan", "written_by": owner, "finished_at": "2020-01-01T00:00:00Z", "result": 1, "attempts": 2}
    bench.drop("x.json", json.dumps(forged))
    (claim,) = bench.claim()
    assert claim.job.attempts == 0
    bench.spool.locks.release(bench.owner)
    other = Spool(bench.path, durability="relaxed")
    assert other.rescue() == ["x"]
    assert other.get("x").status is Status.PENDING
    other.close()


@pytest.mark.parametrize(
    "type", ["../../etc/passwd", "/bin/sh", "os.system", "a\0b", "x" * 10_000, "jobqueue.worker:main", "..", "*"]
)
def test_types_are_texts_and_nothing_else(bench: Any, type: str) -> None:
    bench.drop("odd.json", json.dumps({"type": type}))
    (claim,) = bench.claim()
    assert claim.job.type == type
    assert bench.finish(claim)
    assert bench.names("done") == {"odd.json"}


@pytest.mark.parametrize("id", ["../../x", "/etc/x", "a\0b", "x" * 10_000, None, 7, ["x"], {"a": 1}, ".", ""])
def test_ids_in_a_file_never_reach_a_path(bench: Any, id: Any) -> None:
    before = sorted(path for path in bench.path.parent.rglob("*") if "locks" not in path.parts and "tmp" not in path.parts)
    bench.drop("named.json", json.dumps({"type": "scan", "id": id}))
    bench.work_until(is_done(bench, "named.json"))
    assert bench.ran == ["named"]
    after = {path for path in bench.path.parent.rglob("*") if "locks" not in path.parts and "tmp" not in path.parts}
    new = after - set(before) - {bench.path / "done" / "named.json"}
    assert all(path.parent.name in ("journal", ".jobqueue") for path in new)


@pytest.mark.parametrize("id", ["../x", "a/b", "a\0b", "", ".", "..", "/", "x" * 300, ".hidden", "#x", "\ud800"])
def test_ids_from_callers_never_reach_a_path(bench: Any, id: str) -> None:
    with pytest.raises(JobNotFound):
        bench.spool.get(id)
    for verb in (bench.spool.cancel, bench.spool.retry, bench.spool.purge, bench.spool.restore):
        assert [change.outcome for change in verb([id])] == ["missing"]


# -- what may not be touched


def unprivileged(work: Callable[[Path], None], forked: Callable[..., int]) -> None:
    """Runs `work(folder)` as a user that permissions bind."""
    folder = Path(tempfile.mkdtemp(prefix="jobqueue-"))
    try:
        if os.geteuid() != 0:
            work(folder)
            return

        def as_nobody() -> None:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.environ["HOME"] = str(folder)
            work(folder)

        os.chown(folder, 65534, 65534)
        assert forked(as_nobody) == 0
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
        shutil.rmtree(folder)


def test_an_unreadable_file_is_left_alone_and_reported_once(
    forked: Callable[..., int], make_bench: Callable[..., Any], said: Callable[[str], int], looks: list[str]
) -> None:
    def work(folder: Path) -> None:
        bench = make_bench(folder / "q")
        bench.drop("secret.json", GOOD).chmod(0)
        bench.drop("good.json", GOOD)
        bench.work_until(lambda: bench.ran == ["good"])
        bench.drop("bad.json", b"{")
        bench.work_until(is_aside(bench, "bad.json"))
        assert bench.names("pending") == {"secret.json"}
        assert looks.count("secret.json") == 1
        assert said("secret.json") == 1
        (bench.pending / "secret.json").chmod(0o600)
        bench.spool.claiming.skipped_at -= 60  # now and then it gets another look
        bench.drop("another.json", GOOD)
        bench.work_until(lambda: set(bench.ran) == {"good", "another", "secret"})

    unprivileged(work, forked)


@pytest.fixture
def immutable(bench: Any) -> Any:
    """Makes files immutable until the end of the test."""
    made: list[Path] = []

    def mark(path: Path) -> None:
        done = subprocess.run(["chattr", "+i", path], capture_output=True, text=True) if shutil.which("chattr") else None
        if done is None or done.returncode:
            pytest.skip(f"chattr +i does not work here: {done.stderr if done else 'no such program'}")
        made.append(path)

    yield mark
    for path in made:
        subprocess.run(["chattr", "-i", path], check=True)


@pytest.mark.parametrize(
    "data", [GOOD, b"{", b'{"type": "scan", "expires_at": "2020-01-01T00:00:00Z"}'], ids=["job", "no job", "expired"]
)
def test_an_immutable_file_stops_nothing(
    bench: Any, immutable: Any, data: bytes, said: Callable[[str], int], looks: list[str]
) -> None:
    path = bench.drop("fixed.json", data)
    immutable(path)
    bench.drop("good.json", GOOD)
    bench.work_until(lambda: "good" in bench.ran)
    bench.work_until(lambda: said("fixed.json"))
    bench.drop("bad.json", b"{")
    bench.work_until(is_aside(bench, "bad.json"))
    assert bench.names("pending") == {"fixed.json"}
    assert said("fixed.json") == 1
    assert looks.count("fixed.json") < 6
    (change,) = bench.spool.cancel(["fixed"])
    assert change.outcome == "refused"
    assert bench.ran == ["good"]


def test_a_file_that_the_disk_cannot_read_stops_nothing(
    bench: Any, monkeypatch: pytest.MonkeyPatch, said: Callable[[str], int]
) -> None:
    original = intake.read

    def read(file: int, name: str, *rest: Any) -> Any:
        if name == "broken.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(file, name, *rest)

    monkeypatch.setattr(intake, "read", read)
    bench.drop("broken.json", GOOD)
    bench.drop("good.json", GOOD)
    bench.work_until(lambda: bench.ran == ["good"])
    assert bench.names("pending") == {"broken.json"}
    assert said("broken.json") == 1


def test_a_full_disk_while_something_is_set_aside_loses_no_claim(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.drop("bad.json", b"{")
    assert bench.work() == []
    broken = [True]

    def reject(rejects: Any) -> Any:
        if broken[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(rejects)

    original = bench.spool.claiming.reject
    monkeypatch.setattr(bench.spool.claiming, "reject", reject)
    for number in range(5):
        bench.drop(f"good-{number}.json", GOOD)
        bench.work_until(lambda number=number: f"good-{number}" in bench.ran)
        bench.spool.wait(0.05)
    broken[0] = False
    bench.spool.claiming.skipped_at -= 60
    bench.drop("last.json", GOOD)
    bench.work_until(is_aside(bench, "bad.json"))
    assert bench.path.joinpath("failed", "bad.json").read_bytes() == b"{"


# -- moved by hand


def test_a_finished_job_moved_back_by_hand_runs_again_with_its_history(bench: Any) -> None:
    bench.drop("x.json", GOOD)
    bench.work_until(is_done(bench, "x.json"))
    for runs in (2, 3):
        (bench.path / "done" / "x.json").rename(bench.pending / "x.json")
        bench.work_until(is_done(bench, "x.json"))
        job = bench.spool.get("x").job
        assert bench.ran == ["x"] * runs
        assert bench.jobs[-1].attempts == 0
        assert job.attempts == 1
        assert [attempt.outcome for attempt in job.history] == ["done"] * (runs - 1)


def test_a_failed_job_moved_back_by_hand_runs_again_with_its_history(bench: Any) -> None:
    bench.drop("x.json", GOOD)
    bench.spool.cancel(["x"], "enough")
    (bench.path / "failed" / "x.json").rename(bench.pending / "x.json")
    bench.work_until(is_done(bench, "x.json"))
    job = bench.spool.get("x").job
    assert bench.jobs[0].attempts == 0
    assert bench.jobs[0].error is None
    assert [(attempt.outcome, attempt.error.message) for attempt in job.history] == [("cancelled", "enough")]


def test_a_pending_file_edited_in_place_runs_as_it_is_now(bench: Any) -> None:
    path = bench.drop("x.json", b'{"type": "scan", "run_after": "2099-01-01T00:00:00Z"}')
    assert bench.work() == []
    bench.spool.wait(0)
    path.write_bytes(b'{"type": "scan", "payload": {"edited": true}}')
    bench.work_until(is_done(bench, "x.json"))
    assert bench.jobs[0].payload == {"edited": True}


def test_a_pending_file_that_is_taken_away_is_forgotten(bench: Any) -> None:
    paths = [bench.drop(f"{name}.json", GOOD) for name in ("a", "b", "c")]
    bench.spool.claiming.list()
    bench.spool.claiming.strangers.meet()
    for path in paths[:2]:
        path.unlink()
    assert [claim.job.id for claim in bench.claim()] == ["c"]
    assert len(bench.spool.claiming.index) == 0


def test_a_file_that_is_swapped_between_the_look_and_the_claim_is_put_back(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.drop("x.json", GOOD)
    original = claiming.judge

    def swap_then_judge(*arguments: Any, **options: Any) -> Any:
        if path.exists() and b"new" not in path.read_bytes():
            bench.drop("x.json", b'{"type": "scan", "payload": {"new": true}}')
        return original(*arguments, **options)

    monkeypatch.setattr(claiming, "judge", swap_then_judge)
    bench.work_until(is_done(bench, "x.json"))
    assert bench.jobs[0].payload == {"new": True}


def test_a_claimed_job_that_is_taken_away_at_once_stops_nothing(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.drop("x.json", GOOD)
    bench.drop("y.json", GOOD)
    original = files.move

    def move(source: int, name: str, target: int, new_name: str) -> None:
        original(source, name, target, new_name)
        if name == "x.json":
            os.unlink(new_name, dir_fd=target)

    monkeypatch.setattr(files, "move", move)
    assert [claim.job.id for claim in bench.claim()] == ["y"]


def test_a_job_moved_away_by_hand_while_it_runs_is_not_revived(bench: Any, tmp_path: Path) -> None:
    bench.drop("x.json", GOOD)
    (claim,) = bench.claim()
    (held,) = (bench.path / "claimed").glob("*/x.json")
    held.rename(tmp_path / "taken.json")
    assert bench.spool.extend(bench.owner, [claim]) == {"x": "lost"}
    assert not bench.finish(claim, "too late")
    assert not list(bench.path.rglob("x.json"))
    assert (tmp_path / "taken.json").read_bytes() == GOOD
    assert list(bench.spool.attempts()) == []


def test_a_job_moved_to_done_by_hand_while_it_runs_stays_as_it_is(bench: Any) -> None:
    bench.drop("x.json", GOOD)
    (claim,) = bench.claim()
    (held,) = (bench.path / "claimed").glob("*/x.json")
    held.rename(bench.path / "done" / "x.json")
    assert not bench.finish(claim, "too late")
    assert (bench.path / "done" / "x.json").read_bytes() == GOOD
    assert bench.names("done") == {"x.json"}


def test_whatever_lies_in_claimed_stops_no_rescue(bench: Any, tmp_path: Path) -> None:
    (bench.path / "claimed" / "note.txt").write_text("mine")
    (bench.path / "claimed" / "link").symlink_to(tmp_path)
    (bench.path / "claimed" / "made-by-hand").mkdir()
    (bench.path / "claimed" / "made-by-hand" / "x.json").write_bytes(GOOD)
    (bench.path / "claimed" / "made-by-hand" / "bad.json").write_bytes(b"{")
    (bench.path / "claimed" / "made-by-hand" / "dir.json").mkdir()
    assert bench.spool.rescue() == ["x"]
    assert (bench.path / "failed" / "bad.json").read_bytes() == b"{"
    assert bench.spool.rescue() == []
    bench.work_until(is_done(bench, "x.json"))


def test_log_lines_stay_lines(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    bench.drop("one\nCRITICAL two.json", b"{")
    bench.work_until(lambda: bench.names("pending") == set())
    assert not [record for record in caplog.records if "\n" in record.getMessage()]
