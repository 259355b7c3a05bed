"""Lines to columns: the fast way and the plain way (reference.py) agree, whatever the lines are."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jobqueue import Queue, analytics

from . import reference

START = datetime(2026, 11, 22, tzinfo=timezone.utc)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def same(found: pd.DataFrame, expected: pd.DataFrame, by: Sequence[str]) -> None:
    """The same rows, the same types. Rows of one moment stand in the order in which they came, which files may differ in."""
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        name: str(kind) for name, kind in expected.dtypes.items()
    }
    ordered = [plain(frame).sort_values(list(by), kind="stable", ignore_index=True) for frame in (found, expected)]
    pd.testing.assert_frame_equal(*ordered, check_dtype=False)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    categories = [name for name in frame if frame[name].dtype == "category"]
    return frame.astype(dict.fromkeys(categories, "object"))


def check(queue: Queue, lines: list[bytes]) -> None:
    same(analytics.attempts(queue), reference.attempts(lines), ["finished_at", "job", "attempt", "outcome", "claimed_at"])
    same(analytics.items(queue), reference.items(lines), ["at", "job", "round", "track", "key"])
    same(analytics.events(queue), reference.events(lines), ["at", "what", "by", "count", "jobs"])
    times = analytics.attempts(queue)["finished_at"]
    assert times.dropna().is_monotonic_increasing
    assert times.isna().to_numpy()[len(times.dropna()) :].all()


moments = st.integers(0, 50).map(lambda n: START + timedelta(seconds=n, microseconds=n * 7))
words = st.sampled_from(["scan", "score", "a", "ü", 'quo"te', "back\\slash", "new\nline", "\x00", "", "😀", "12", "null"])
numbers = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9).map(lambda x: round(x, 3)))
metrics = st.dictionaries(st.sampled_from(["tokens", "bytes", 'a"b', "c.d"]), numbers, max_size=3)
optional_word = st.none() | words
optional_moment = st.none() | moments


def attempt_lines() -> Any:
    failure = st.fixed_dictionaries(
        {}, optional={"reason": words, "type": optional_word, "message": words, "exit_code": st.none() | st.integers(-64, 255)}
    )
    return st.fixed_dictionaries(
        {"job": words, "type": words, "number": st.integers(1, 3), "outcome": st.sampled_from(["done", "failed"])},
        optional={
            **dict.fromkeys(["worker", "host", "name", "project", "batch", "subject", "version", "code"], optional_word),
            **dict.fromkeys(["created_at", "due_at", "claimed_at", "finished_at"], optional_moment),
            **dict.fromkeys(["wait_ms", "run_ms"], st.none() | numbers),
            "error": st.none() | failure,
            "metrics": metrics,
            "unknown": st.just({"deep": [1, {"x": None}]}),
        },
    )


def other_lines() -> Any:
    item = st.fixed_dictionaries(
        {"what": st.just("item"), "job": words, "type": words, "track": words, "key": words},
        optional={
            "round": st.integers(0, 2),
            "number": st.integers(1, 3),
            "at": optional_moment,
            "seconds": st.none() | numbers,
            "metrics": metrics,
            **dict.fromkeys(["project", "version", "code"], optional_word),
        },
    )
    event = st.fixed_dictionaries(
        {"what": st.sampled_from(["enqueue", "purge", "later"]), "at": moments},
        optional={
            "count": st.none() | st.integers(0, 9),
            "jobs": st.lists(words, max_size=3),
            **dict.fromkeys(["by", "host", "type", "project", "batch", "reason"], optional_word),
        },
    )
    return st.one_of(item, event)


WRONG = ["1", 1, 1.5, True, None, [], {}, ["x"], {"x": "y"}, {"x": 1}, "2026-13-01T00:00:00Z", "yesterday", 10**30, -1]


@st.composite
def broken(draw: Any) -> bytes:
    """A line with one field of any type, one left out, or bytes in the middle."""
    document = draw(st.one_of(attempt_lines(), other_lines()))
    field = draw(st.sampled_from(sorted(document)))
    how = draw(st.sampled_from(["wrong", "gone", "cut", "bytes"]))
    if how == "gone":
        del document[field]
    if how == "wrong":
        document[field] = draw(st.sampled_from(WRONG))
    line = msgspec.json.encode(document)
    place = draw(st.integers(0, len(line) - 1))
    if how == "cut":
        return line[:place]
    return line[:place] + draw(st.sampled_from([b"\0", b"\xff", b"}", b'"', b" "])) + line[place:] if how == "bytes" else line


@st.composite
def spaced(draw: Any) -> bytes:
    """As a person would write it: other white space, fields in another order."""
    document = draw(st.one_of(attempt_lines(), other_lines()))
    names = draw(st.permutations(sorted(document)))
    return msgspec.json.format(msgspec.json.encode({name: document[name] for name in names}), indent=0).replace(b"\n", b"  ")


good = st.one_of(attempt_lines(), other_lines()).map(msgspec.json.encode)
blank = st.sampled_from([b"", b"  ", b"\r"])
any_line = st.one_of(good, good, spaced(), broken(), blank).filter(lambda line: b"\n" not in line)


@QUICK
@given(st.lists(any_line, max_size=30))
def test_any_lines_are_read_as_the_reference_reads_them(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    with Queue(tmp_path_factory.mktemp("q") / "q", durability="relaxed") as queue:
        (Path(queue.store.url) / ".jobqueue/journal/20261122-0.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        check(queue, lines)
        skipped = analytics.skipped(queue)
        assert skipped["lines"].sum() == reference.skipped(lines)
        assert analytics.attempts(queue).attrs["skipped"] == reference.skipped(lines)


def test_an_item_is_known_again_by_the_round_that_it_does_not_say(tmp_path: Path) -> None:
    line = b'{"what":"item","job":"j","type":"scan","track":"rows","key":"a"%s}'
    lines = [line % more for more in (b"", b',"round":0', b',"round":null', b',"round":1')]
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        (tmp_path / "q/.jobqueue/journal/20261122-0.jsonl").write_bytes(b"".join(one + b"\n" for one in lines))
        assert analytics.items(queue)["round"].tolist() == [0, 1]
        check(queue, lines)


def test_a_journal_in_the_place_of_another_is_not_taken_for_it(tmp_path: Path) -> None:
    """As of a folder that was removed and made anew: the file has the old inode, and has grown."""
    path = tmp_path / "q/.jobqueue/journal/20261122-0.jsonl"
    line = b'{"job":"%s","type":"scan","number":1,"outcome":"done"}\n'
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        path.write_bytes(line % b"1")
        assert analytics.attempts(queue)["job"].tolist() == ["1"]
        for jobs in ([b"12"], [b"a", b"b", b"c"], [b"x" * 300, b"y"], [b"z" + b"x" * 299, b"y", b"z"]):
            path.write_bytes(b"".join(line % job for job in jobs))
            assert analytics.attempts(queue)["job"].tolist() == [job.decode() for job in jobs]
        with path.open("ab") as stream:
            stream.write(line % b"more")
        assert len(analytics.attempts(queue)) == 4


class Journal(RuleBasedStateMachine):
    """Several writers, doubles, torn lines, packing, removal and edits, in any order: what is followed is what stands there."""

    folder: Path

    @initialize(tmp=st.just(None))
    def start(self, tmp: None) -> None:
        self.folder = Path(self.base) / os.urandom(4).hex()  # type: ignore[attr-defined]
        self.queue = Queue(self.folder, durability="relaxed")
        self.journal = self.folder / ".jobqueue" / "journal"
        self.good: list[bytes] = []
        self.said: dict[tuple[str, ...], bytes] = {}

    def says_it_alike(self, line: bytes) -> bool:
        """An entry that is written twice is written alike: of two that differ, either may be the one that is read."""
        try:
            document = msgspec.json.decode(line)
        except (msgspec.MsgspecError, ValueError):
            return True
        if not isinstance(document, dict):
            return True
        names = ("what", "job", "number", "claimed_at", "outcome", "track", "key")
        key = (str(document.get("round") or 0), *(str(document.get(name)) for name in names))
        return self.said.setdefault(key, line) == line

    def path(self, number: int) -> Path:
        return self.journal / f"2026112{number}-0.jsonl"

    @rule(number=st.integers(0, 3), lines=st.lists(any_line, min_size=1, max_size=8), torn=st.booleans())
    def write(self, number: int, lines: list[bytes], torn: bool) -> None:
        lines = list(filter(self.says_it_alike, lines))
        if lines and not Path(f"{self.path(number)}.gz").exists():
            self.good += lines
            with self.path(number).open("ab") as stream:
                stream.write(b"\n".join(lines) + (b"" if torn else b"\n"))

    @rule(number=st.integers(0, 3), data=st.data())
    def write_again(self, number: int, data: st.DataObject) -> None:
        if self.good:
            self.write(number, [data.draw(st.sampled_from(self.good))], False)

    @rule(number=st.integers(0, 3), both=st.booleans())
    def pack(self, number: int, both: bool) -> None:
        path = self.path(number)
        if path.exists():
            Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
            if not both:
                path.unlink()

    @rule(number=st.integers(0, 3), packed=st.booleans())
    def remove(self, number: int, packed: bool) -> None:
        Path(f"{self.path(number)}{'.gz' if packed else ''}").unlink(missing_ok=True)

    @rule(number=st.integers(0, 3), keep=st.integers(0, 200))
    def cut(self, number: int, keep: int) -> None:
        if self.path(number).exists():
            os.truncate(self.path(number), keep)

    @invariant()
    def what_is_followed_is_what_stands_there(self) -> None:
        if hasattr(self, "queue"):
            check(self.queue, [line.removesuffix(b"\n") for line in self.queue.store.journal_lines()])

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.queue.close()


def test_a_journal_that_changes_in_any_way_is_followed(tmp_path: Path) -> None:
    Journal.base = str(tmp_path)  # type: ignore[attr-defined]
    case = Journal.TestCase
    case.settings = settings(max_examples=8, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck))
    case("runTest").runTest()


_: Iterator[Any]
