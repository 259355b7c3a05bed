"""Lines of the journal to typed columns: numpy finds the lines, DuckDB takes them apart, Arrow checks them.

Strict: a text is a text, a number a number, a time ISO 8601 with its zone; null is nothing. A line that breaks
this, lacks a field that its kind needs, or is no JSON object is `bad`: none of it counts. Unknown fields are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobqueue.analytics.engine import Engine
from jobqueue.analytics.fields import CONVERT, Mask, number
from jobqueue.model.entry import AttemptEntry, EventEntry, ItemEntry
from jobqueue.store.journal_lines import LONGEST

Rows = npt.NDArray[np.int64]

ATTEMPT = {
    "what": "category",
    "job": "text!",
    "type": "category!",
    "number": "int32!",
    "outcome": "category!",
    "worker": "category",
    "host": "category",
    "name": "text",
    "project": "category",
    "batch": "category",
    "subject": "text",
    "version": "category",
    "code": "category",
    "created_at": "time",
    "due_at": "time",
    "claimed_at": "time",
    "finished_at": "time",
    "wait_ms": "number",
    "run_ms": "number",
    "error": "object",
    "metrics": "object",
}
ITEM = {
    "what": "category!",
    "job": "text!",
    "type": "category!",
    "track": "category!",
    "key": "text!",
    "round": "int32",
    "number": "int32",
    "project": "category",
    "version": "category",
    "code": "category",
    "at": "time",
    "seconds": "seconds",
    "metrics": "object",
}
EVENT = {
    "what": "category!",
    "at": "time!",
    "by": "category",
    "host": "category",
    "count": "int",
    "jobs": "list",
    "type": "category",
    "project": "category",
    "batch": "category",
    "reason": "text",
}
FAILURE = {"reason": "category", "type": "category", "message": "text", "exit_code": "int16"}

BATCH = 1 << 14
"""Lines that one thread of DuckDB takes at a time."""


KEYS = {
    "attempt": ("job", "number", "claimed_at", "outcome"),
    "item": ("job", "round", "track", "key"),
    "event": tuple(EVENT),
}
"""What tells an entry that was written twice: of these fields, each line brings a `hash`."""


class Found(NamedTuple):
    """The good lines of one kind: a table, with `line` (which of the lines it was), and its metrics (row, name, value)."""

    table: pa.Table
    metrics: pa.Table


nothing: dict[str, Found] = {}
"""What no lines of a kind look like, once that was asked."""


class Parsed(NamedTuple):
    attempts: Found
    items: Found
    events: Found
    bad: Rows
    """Which of the lines were skipped, in their order; blank ones are not among them."""


def read_lines(engine: Engine, data: bytes | bytearray | memoryview) -> tuple[Parsed, Rows]:
    """What stands in these whole lines, and where each of them starts (and, last, where they end)."""
    starts = line_starts(data)
    lines = lines_of(data, starts)
    count = len(starts) - 1
    codes = np.frombuffer(data, np.uint8)
    second = codes[np.minimum(starts[:-1] + 2, max(len(codes) - 1, 0))] if count else np.zeros(0, np.uint8)
    said = np.flatnonzero((second == ord("w")) & (np.diff(starts) <= LONGEST))  # {"what": ...}, as we write what is no attempt
    short = np.diff(starts) <= LONGEST
    first = Reading(engine, lines, np.flatnonzero(short & (second != ord("w"))), ATTEMPT)
    others = np.sort(np.concatenate([said, first.rows[first.given("what")]]))
    what = Reading(engine, lines, others, {"what": "category"})
    is_item = what.equals("what", "item")
    late = Reading(engine, lines, others[~what.given("what")], ATTEMPT)
    parsed = Parsed(
        joined([first.finished("attempt", ~first.given("what")), late.finished("attempt")]),
        Reading(engine, lines, others[is_item], ITEM).finished("item"),
        Reading(engine, lines, others[~is_item & what.given("what")], EVENT).finished("event"),
        np.zeros(0, np.int64),
    )
    good = np.zeros(count, np.bool_)
    for part in (parsed.attempts, parsed.items, parsed.events):
        good[part.table["line"].to_numpy()] = True
    bad = np.array([row for row in np.flatnonzero(~good) if bytes(data[starts[row] : starts[row + 1]]).strip()], np.int64)
    attempts, items, events = (Found(part.table.drop_columns(["line"]), part.metrics) for part in parsed[:3])
    return Parsed(attempts, items, events, bad), starts


def line_starts(data: bytes | bytearray | memoryview) -> Rows:
    codes = np.frombuffer(data, np.uint8)
    found = [np.flatnonzero(codes[start : start + (1 << 22)] == 10) + start for start in range(0, len(codes), 1 << 22)]
    ends = np.concatenate([np.zeros(0, np.int64), *found])
    starts = np.empty(len(ends) + 1, np.int64)
    starts[0] = 0
    starts[1:] = ends + 1
    return starts


def lines_of(data: bytes | bytearray | memoryview, starts: Rows) -> pa.Array:
    """One text for each line, without a copy; whether they are UTF-8 is found out by who reads the JSON."""
    return pa.LargeStringArray.from_buffers(len(starts) - 1, pa.py_buffer(starts), pa.py_buffer(data))


def why_bad(line: bytes) -> str:
    """What is wrong with a line, for people."""
    try:
        document = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError) as error:
        return f"not JSON: {error}"
    if not isinstance(document, dict):
        return "not a JSON object"
    what = document.get("what")
    kind: Any = AttemptEntry if what is None else ItemEntry if what == "item" else EventEntry
    try:
        msgspec.convert({name: value for name, value in document.items() if value is not None}, kind)
    except (msgspec.MsgspecError, ValueError) as error:
        return str(error)
    return "a value is out of range"


class Reading:
    """Some of the lines, all as one kind. `bad` are those that cannot be of this kind."""

    def __init__(self, engine: Engine, lines: pa.Array, rows: Rows, fields: dict[str, str]) -> None:
        self.engine = engine
        self.fields = fields
        self.rows = rows
        chosen = lines if len(rows) == len(lines) else lines.take(pa.array(rows))
        self.lines = pa.table({"line": pa.chunked_array(slices(chosen), pa.large_string())})
        self.raw = taken_apart(engine, self.lines, fields) if len(rows) else no_rows(fields)
        self.bad = np.zeros(len(rows), np.bool_)

    def given(self, name: str) -> Mask:
        return np.asarray(pc.is_valid(self.raw[name]).to_numpy())

    def equals(self, name: str, text: str) -> Mask:
        return np.asarray(pc.fill_null(pc.equal(self.raw[name], json.dumps(text)), False).to_numpy())

    def finished(self, key: str, only: Mask | None = None) -> Found:
        if len(self.rows) == 0 and key in nothing:
            return nothing[key]
        columns = {name: self.column(name, kind) for name, kind in self.fields.items() if kind != "object"}
        if "error" in self.fields:
            columns |= self.failures()
        metrics = self.metrics() if "metrics" in self.fields else no_metrics()
        keep = ~self.bad if only is None else only & ~self.bad
        table = pa.table({"line": pa.array(self.rows), **columns})
        if not keep.all():
            table, metrics = table.filter(pa.array(keep)), kept_metrics(metrics, keep)
        names = ", ".join(f'"{name}"' for name in KEYS[key])
        hashes = self.engine.query(f"select hash({names}) as hash from given", given=table)
        found = Found(table.append_column("hash", hashes["hash"]), metrics)
        if len(self.rows) == 0:
            nothing[key] = found
        return found

    def column(self, name: str, kind: str) -> pa.Array:
        raw = one(self.raw[name])
        column, bad = CONVERT[kind.rstrip("!")](raw)
        self.bad |= bad
        if kind.endswith("!"):
            self.bad |= pc.is_null(raw).to_numpy(zero_copy_only=False)
        return column

    def failures(self) -> dict[str, pa.Array]:
        where, raw = self.objects("error")
        if len(where) == 0:
            return no_failures(len(self.rows))
        parts = taken_apart(self.engine, pa.table({"line": raw}), FAILURE)
        back = np.full(len(self.rows), -1, np.int64)
        back[where] = np.arange(len(where))
        indices = pa.array(back, mask=back < 0)
        found = {}
        for name, kind in FAILURE.items():
            raw_part = one(parts[name])
            column, bad = CONVERT[kind](raw_part)
            self.bad[where[bad]] = True
            found[name] = column
        reason = pc.fill_null(found["reason"].cast(pa.large_string()), "error")
        message = pc.fill_null(found["message"], "")
        return {
            "reason": reason.dictionary_encode().take(indices),
            "error_type": found["type"].take(indices),
            "error": message.take(indices),
            "exit_code": found["exit_code"].take(indices),
        }

    def objects(self, name: str) -> tuple[Rows, pa.Array]:
        """Where a field is given, and what it holds; what is no object there makes its line bad."""
        raw = one(self.raw[name])
        where = np.flatnonzero(self.given(name))
        values = raw.drop_null()
        is_object = pc.starts_with(values, "{").to_numpy(zero_copy_only=False)
        self.bad[where[~is_object]] = True
        return where[is_object], values.filter(pa.array(is_object))

    def metrics(self) -> pa.Table:
        where, raw = self.objects("metrics")
        if len(where) == 0:
            return no_metrics()
        maps = self.engine.query(
            "select try(from_json(line, '\"MAP(VARCHAR, JSON)\"')) as m from given", given=pa.table({"line": raw})
        )
        column = one(maps["m"])
        self.bad[where[pc.is_null(column).to_numpy(zero_copy_only=False)]] = True
        lengths = np.diff(column.offsets.to_numpy())
        rows = np.repeat(where, lengths)
        entries = column.offsets.to_numpy()
        names, values = column.keys, column.items
        names, values = names[entries[0] : entries[-1]], values[entries[0] : entries[-1]]
        numbers, bad = number(values)
        self.bad[rows[bad | pc.is_null(values).to_numpy(zero_copy_only=False)]] = True
        return pa.table({"row": pa.array(rows), "name": names.dictionary_encode(), "value": numbers})


def taken_apart(engine: Engine, lines: pa.Table, names: Iterable[str]) -> pa.Table:
    """The JSON of these fields, a row for each line; where a line is no JSON, nothing."""
    structure = json.dumps(dict.fromkeys(names, "JSON"))
    try:
        return engine.query(f"select unnest(from_json(line, '{structure}')) from given", given=lines)
    except (duckdb.Error, UnicodeDecodeError):  # one of them is no JSON, or no text: now each is asked first
        return engine.query(
            f"select unnest(case when json_valid(line) then from_json(line, '{structure}') end) from given", given=lines
        )


def no_rows(names: Iterable[str]) -> pa.Table:
    return pa.schema([(name, pa.large_string()) for name in names]).empty_table()


def slices(array: pa.Array) -> list[pa.Array]:
    return [array.slice(start, BATCH) for start in range(0, len(array), BATCH)]


def one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def no_failures(count: int) -> dict[str, pa.Array]:
    texts, codes = pa.nulls(count, pa.large_string()), pa.nulls(count, pa.int64())
    category = texts.dictionary_encode()
    return {"reason": category, "error_type": category, "error": texts, "exit_code": codes}


# Metrics: one row for each number that a line counted


def no_metrics() -> pa.Table:
    return pa.table(
        {
            "row": pa.array([], pa.int64()),
            "name": pa.array([], pa.large_string()).dictionary_encode(),
            "value": pa.array([], pa.float64()),
        }
    )


def kept_metrics(metrics: pa.Table, keep: Mask) -> pa.Table:
    rows = metrics["row"].to_numpy()
    moved = np.cumsum(keep) - 1
    chosen = keep[rows]
    return metrics.filter(pa.array(chosen)).set_column(0, "row", pa.array(moved[rows[chosen]], pa.int64()))


def joined(parts: Sequence[Found]) -> Found:
    """Several as one: rows of the later ones count on from those before."""
    parts = [part for part in parts if part.table.num_rows] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    before = np.cumsum([0, *(part.table.num_rows for part in parts)])
    metrics = [
        part.metrics.set_column(0, "row", pc.add(part.metrics["row"], int(start)))
        for part, start in zip(parts, before[:-1], strict=True)
    ]
    return Found(pa.concat_tables([part.table for part in parts]), pa.concat_tables(metrics))
