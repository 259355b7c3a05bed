"""Lines of the journal to typed columns: numpy finds the lines, DuckDB takes them apart, Arrow checks them.

Strict: a text is a text, a number a number, a time ISO 8601 with its zone; null is nothing. A line that breaks
this, lacks a field that its kind needs, or is no JSON object is `bad`: none of it counts. Unknown fields are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobqueue.analytics.engine import Engine
from jobqueue.analytics.fields import CONVERT, TEXTS, Mask, number
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


HOLD = {
    "error": pa.struct([(name, pa.large_string()) for name in FAILURE]),
    "metrics": pa.map_(pa.large_string(), pa.large_string()),
}

BATCH = 1 << 14
"""Lines that one thread of DuckDB takes at a time."""


KEYS = {
    "attempt": ("job", "number", "claimed_at", "outcome"),
    "item": ("job", 'coalesce("round", 0)', "track", "key"),
    "event": tuple(f'"{name}"' for name in EVENT),
}
"""What tells an entry that was written twice: of these, each line brings a `hash`. A round that is not said is the first."""


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
        self.doubts: dict[str, Mask] = {}

    def given(self, name: str) -> Mask:
        return np.asarray(pc.is_valid(self.raw[name]).to_numpy())

    def equals(self, name: str, text: str) -> Mask:
        return np.asarray(pc.fill_null(pc.equal(self.raw[name], text), False).to_numpy())

    def finished(self, key: str, only: Mask | None = None) -> Found:
        if len(self.rows) == 0 and key in nothing:
            return nothing[key]
        columns = {
            name: self.checked(name, one(self.raw[name]), kind) for name, kind in self.fields.items() if kind != "object"
        }
        if "error" in self.fields:
            columns |= self.failures()
        metrics = self.metrics() if "metrics" in self.fields else no_metrics()
        self.settle()
        keep = ~self.bad if only is None else only & ~self.bad
        table = pa.table({"line": pa.array(self.rows), **columns})
        if not keep.all():
            table, metrics = table.filter(pa.array(keep)), kept_metrics(metrics, keep)
        hashes = self.engine.query(f"select hash({', '.join(KEYS[key])}) as hash from given", given=table)
        found = Found(table.append_column("hash", hashes["hash"]), metrics)
        if len(self.rows) == 0:
            nothing[key] = found
        return found

    def checked(self, name: str, raw: pa.Array, kind: str) -> pa.Array:
        column, bad = CONVERT[kind.rstrip("!")](raw)
        if kind.rstrip("!") not in TEXTS:
            self.bad |= bad
        elif bad.any():
            self.doubts[name] = bad
        if kind.endswith("!"):
            self.bad |= raw.is_null().to_numpy(zero_copy_only=False)
        return column

    def settle(self) -> None:
        """What may have been no text is asked again, as JSON."""
        if not self.doubts:
            return
        rows = np.flatnonzero(np.logical_or.reduce([*self.doubts.values()]))
        fields = {name: self.fields[name] for name in {name.partition(".")[0] for name in self.doubts}}
        again = taken_apart(self.engine, self.lines.take(pa.array(rows)), fields, "JSON")
        for name, doubted in self.doubts.items():
            whole, _, part = name.partition(".")
            raw = one(again[f"{whole} apart"]).field(part) if part else again[name]
            is_text = pc.fill_null(pc.starts_with(raw, '"'), True).to_numpy(zero_copy_only=False)
            self.bad[rows] |= doubted[rows] & ~is_text

    def failures(self) -> dict[str, pa.Array]:
        failure = self.objects("error")
        parts = dict(zip(FAILURE, failure.flatten(), strict=True))
        found = {name: self.checked(f"error.{name}", parts[name], kind) for name, kind in FAILURE.items()}
        failed, nothing = failure.is_valid(), pa.scalar(None, pa.large_string())
        reason = pc.fill_null(found["reason"].cast(pa.large_string()), "error")
        return {
            "reason": pc.if_else(failed, reason, nothing).dictionary_encode(),
            "error_type": found["type"],
            "error": pc.if_else(failed, pc.fill_null(found["message"], ""), nothing),
            "exit_code": found["exit_code"],
        }

    def objects(self, name: str) -> pa.Array:
        """The fields of an object, taken apart too; what is given and is no such object makes its line bad."""
        found = one(self.raw[f"{name} apart"])
        self.bad |= self.raw[name].to_numpy() & found.is_null().to_numpy(zero_copy_only=False)
        return found

    def metrics(self) -> pa.Table:
        column = self.objects("metrics")
        offsets = column.offsets.to_numpy()
        rows = np.repeat(np.arange(len(column)), np.diff(offsets))
        names, values = column.keys[offsets[0] : offsets[-1]], column.items[offsets[0] : offsets[-1]]
        numbers, bad = number(values)
        self.bad[rows[bad | values.is_null().to_numpy(zero_copy_only=False)]] = True
        return pa.table({"row": pa.array(rows), "name": names.dictionary_encode(), "value": numbers})


def taken_apart(engine: Engine, lines: pa.Table, fields: Mapping[str, str], texts: str = "VARCHAR") -> pa.Table:
    """These fields, a row for each line; where a line is no JSON, nothing. What is no text or time is JSON still, so that it
    tells its type. Of objects: whether they are given, and what they hold, where they are some."""
    json_of_line = f"from_json(line, '{structure_of(fields, texts)}')"
    columns = ", ".join(OBJECTS[name](texts) if kind == "object" else f'"{name}"' for name, kind in fields.items())
    ask = "select {columns} from (select unnest({json}) from given)"
    try:
        return engine.query(ask.format(columns=columns, json=json_of_line), given=lines)
    except (duckdb.Error, UnicodeDecodeError):  # one of them is no JSON, or no text: now each is asked first
        careful = f"case when json_valid(line) then {json_of_line} end"
        return engine.query(ask.format(columns=columns, json=careful), given=lines)


def structure_of(fields: Mapping[str, str], texts: str) -> str:
    """How DuckDB is told what to look for. A time is a text, or not read as one."""
    types = {"time": "VARCHAR", **dict.fromkeys(TEXTS, texts)}
    return json.dumps({name: types.get(kind.rstrip("!"), "JSON") for name, kind in fields.items()})


def failure_apart(texts: str) -> str:
    read = f"from_json(error, '{structure_of(FAILURE, texts)}')"
    return f"error is not null as error, case when starts_with(error, '{{') then {read} end as \"error apart\""


def metrics_apart(_texts: str) -> str:
    read = "try(from_json(metrics, '\"MAP(VARCHAR, JSON)\"'))"
    return f"metrics is not null as metrics, case when starts_with(metrics, '{{') then {read} end as \"metrics apart\""


OBJECTS = {"error": failure_apart, "metrics": metrics_apart}


def no_rows(fields: Mapping[str, str]) -> pa.Table:
    plain = [(name, pa.bool_() if kind == "object" else pa.large_string()) for name, kind in fields.items()]
    apart = [(f"{name} apart", HOLD[name]) for name, kind in fields.items() if kind == "object"]
    return pa.schema([*plain, *apart]).empty_table()


def slices(array: pa.Array) -> list[pa.Array]:
    return [array.slice(start, BATCH) for start in range(0, len(array), BATCH)]


def one(column: pa.ChunkedArray) -> pa.Array:
    """Its only chunk, where that is all there is: to combine it would copy it."""
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


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
