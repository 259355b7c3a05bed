"""Bytes to documents, and jobs to bytes and back."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.errors import UnreadableJob
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.model.json_value import DEEPEST
from jobqueue.model.request import read_record
from jobqueue.store.codec import ROOM, decode, encode

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(scalars | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


@given(st.dictionaries(texts, values))
def test_what_json_can_hold_comes_back(payload: dict[str, Any]) -> None:
    job = Job(id="x", type="scan", payload=payload)
    assert decode(encode(job)).get("payload", {}) == payload


@given(values)
def test_any_document_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    assert decode(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_say_why_not(data: bytes) -> None:
    problem = "none"
    try:
        decode(data)
    except UnreadableJob as error:
        problem = str(error)
    assert problem
    assert "\n" not in problem


@given(st.binary(max_size=200), texts)
def test_any_document_is_a_job_or_says_why_not(data: bytes, id: str) -> None:
    try:
        job = read_record(id, decode(data))
    except UnreadableJob:
        return
    assert job.id == id


@given(values, st.sampled_from(sorted(Job.__struct_fields__)))
def test_any_value_in_any_field_is_a_job_or_says_why_not(value: Any, field: str) -> None:
    try:
        job = read_record("x", decode(json.dumps({"type": "scan", field: value}).encode()))
    except UnreadableJob:
        return
    assert (job.id, job.attempts, job.finished, job.history) == ("x", 0, False, ()) or field == "written_by"
    assert read_record("x", decode(encode(job))) == job


def test_a_job_with_everything_comes_back() -> None:
    now = datetime(2026, 11, 22, 6, 15, 0, 123456, tzinfo=timezone.utc)
    job = Job(
        id="x",
        type="scan",
        payload={"é": ["\u2028", "\U0001f600", 10**30, 0.1, None]},
        priority=0,
        run_after=now,
        attempts=2,
        error=Failure(reason="crashed", message="m", traceback="t"),
        history=(Attempt(number=1, outcome="failed", error=Failure(message="first")),),
        finished_at=now,
        written_by="worker-1",
        extra={"foreign": 1},
    )
    data = encode(job)
    assert read_record("x", decode(data)) == job
    assert data.endswith(b"}\n")
    assert "é".encode() in data


def test_an_id_that_is_not_utf_8_does_not_stop_the_writing() -> None:
    job = Job(id="\udcff", type="scan")
    assert read_record("\udcff", decode(encode(job))).id == "\udcff"


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{\n "a": 1,\n  x}', "line 3, column 3"),
        (b'{"a": 1} x', "line 1, column 10"),
        (b'{"a":\n\n "\xff"}', "line 3, column 3"),
        (b"\xef\xbb\xbf{,}", "line 1, column 2"),
        (b"[1,\r\n2,\r\n?]", "line 3, column 1"),
    ],
)
def test_line_and_column(data: bytes, place: str) -> None:
    with pytest.raises(UnreadableJob, match=place):
        decode(data)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", '{"a":1,"a":1}', '"\\ud800"', "9" * 5000])
def test_what_other_readers_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(UnreadableJob):
        decode(text.encode())
    with pytest.raises(UnreadableJob):
        decode(b'{"deep": [' + text.encode() + b"]}")


@pytest.mark.parametrize("depth", [DEEPEST + ROOM, 1000, 100_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting(depth: int, brackets: str) -> None:
    opening = "[" if brackets == "[]" else '{"a":'
    inner = "1" if brackets == "{}" else ""

    def nested(levels: int) -> bytes:
        return (opening * levels + inner + brackets[1] * levels).encode()

    with pytest.raises(UnreadableJob, match="nested"):
        decode(nested(depth + 2))
    if depth == DEEPEST + ROOM:
        decode(nested(depth + 1))


def test_a_text_that_ends_too_early_says_so() -> None:
    whole = b'{"type": "scan", "n": [1, {"a": true}]}'
    for size in range(1, len(whole)):
        with pytest.raises(UnreadableJob) as caught:
            decode(whole[:size])
        assert "comma too many" not in str(caught.value)
