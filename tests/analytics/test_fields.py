"""Texts are texts: what DuckDB makes a text of, and was none in its line, is found by what it looks like, and asked again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue import Queue, analytics
from jobqueue.analytics import fields
from jobqueue.analytics.engine import Engine

from . import reference
from .test_reading import same

OTHER_TYPES = [
    "0",
    "7",
    "-1",
    "12345678",
    "1.0",
    "-2.5e-7",
    "1e-7",
    "1E+9",
    "1e400",
    "1" * 60,
    "true",
    "false",
    "[]",
    "[1,2]",
    "{}",
]
OTHER_TYPES += ['{"a": "b"}', '["10-2026"]', "null", "NaN", "-Infinity", "nan", "inf"]
TEXTS = [
    "10-20261122T000000000000-0a1b2c3d",
    "1-2",
    "-",
    "--1",
    "1a2b3c",
    "octo/cat",
    "tree",
    "nano",
    "ink",
    "e5",
    "",
    "\x00",
    "ü",
]
LINE = {"job": "a", "type": "scan", "number": 1, "outcome": "done", "finished_at": "2026-11-22T00:00:00Z"}
FAILED = ["reason", "type", "message"]
engine = Engine()


def line_with(field: str, raw: str) -> bytes:
    """A line that has this JSON in one of its fields (of its failure, behind a full stop)."""
    if field.startswith("error."):
        line, raw = LINE, f'{{"{field[6:]}":{raw}}}'
        field = "error"
    line = {name: value for name, value in LINE.items() if name != field}
    return f'{json.dumps(line)[:-1]},"{field}":{raw}}}\n'.encode()


@pytest.mark.parametrize("raw", OTHER_TYPES)
def test_what_duckdb_makes_a_text_of_is_doubted(raw: str) -> None:
    lines = pa.table({"line": pa.array([f'{{"a":{raw}}}'], pa.large_string())})
    read = 'case when json_valid(line) then from_json(line, \'{"a":"VARCHAR"}\').a end'
    (text,) = engine.query(f"select {read} as a from given", given=lines)["a"].chunks
    assert text.null_count or fields.doubtful(text).tolist() == [True]


def test_most_texts_are_not_doubted() -> None:
    assert not fields.doubtful(pa.array([*TEXTS, None], pa.large_string())).any()


def test_a_text_is_told_from_what_only_looks_like_it(tmp_path: Path) -> None:
    names = ["job", "type", "outcome", "name", "project", "subject", "version", "worker", "wait_ms", "claimed_at", "metrics"]
    names += ["error", *(f"error.{name}" for name in FAILED)]
    raws = [*OTHER_TYPES, *map(json.dumps, [*OTHER_TYPES, *TEXTS])]
    lines = [line_with(name, raw) for name in names for raw in raws]
    queue = Queue(tmp_path / "queue")
    (tmp_path / "queue" / ".jobqueue" / "journal" / "a.jsonl").write_bytes(b"".join(lines))
    by = ["job", "type", "outcome", "name", "project", "subject", "version", "worker", "reason", "error_type", "error"]
    same(analytics.attempts(queue), reference.attempts(lines), by)
    assert analytics.skipped(queue)["lines"].sum() == reference.skipped(lines)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=200)
@given(st.lists(json_values, min_size=1))
def test_no_other_type_goes_undoubted(values: list[object]) -> None:
    raws = [msgspec.json.encode(value).decode() for value in values]
    texts = pa.array(
        [None if raw == "null" or isinstance(value, str) else raw for raw, value in zip(raws, values, strict=True)]
    )
    assert fields.doubtful(texts.cast(pa.large_string())).tolist() == [text.is_valid for text in texts.cast(pa.large_string())]
