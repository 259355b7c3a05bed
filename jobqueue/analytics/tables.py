"""Attempts, items and events as they grow: what a line says becomes the columns of the schema, each entry once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jobqueue.analytics.growing import Growing
from jobqueue.analytics.reading import Found, joined
from jobqueue.analytics.schema import ATTEMPTS, EVENTS, ITEMS
from jobqueue.inert import inert_logger

log = inert_logger("jobqueue")
MOST_METRICS = 100
"""So many metrics get a column: each costs eight bytes for every row. Those that come more often go first."""
Columns = dict[str, pa.ChunkedArray]
Mask = npt.NDArray[np.bool_]


class Seen:
    """The hashes of all entries so far: one large sorted array, and what came since."""

    def __init__(self) -> None:
        self.old = np.empty(0, np.uint64)
        self.recent = np.empty(0, np.uint64)

    def nbytes(self) -> int:
        return self.old.nbytes + self.recent.nbytes

    def again(self, hashes: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Those that are there twice among them, and those that were known before; from now on all are known."""
        fresh = np.sort(hashes)
        twice = fresh[1:][fresh[1:] == fresh[:-1]]
        known = fresh[within(self.old, fresh) | within(self.recent, fresh)]
        self.recent = np.sort(np.concatenate([self.recent, fresh]), kind="stable")
        if len(self.recent) * 8 > len(self.old):
            self.old = np.sort(np.concatenate([self.old, self.recent]), kind="stable") if len(self.old) else self.recent
            self.recent = np.empty(0, np.uint64)
        return twice, known


def within(ordered: npt.NDArray[Any], values: npt.NDArray[Any]) -> Mask:
    if len(ordered) == 0:
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[places] == values)


def first_of_each(values: npt.NDArray[Any]) -> Mask:
    found = np.zeros(len(values), np.bool_)
    found[np.unique(values, return_index=True)[1]] = True
    return found


class Kept:
    """The rows of one kind of entry."""

    schema: dict[str, str]
    by: str
    key: Sequence[str]
    """The columns by which an entry is known again; where there are none, it is its hash that tells."""

    def __init__(self) -> None:
        self.rows = Growing(self.schema, self.by)
        self.seen = Seen()
        self.left_out: set[str] = set()
        self.shown: pd.DataFrame | None = None
        self.given: list[pd.DataFrame] = []

    def add(self, parts: Sequence[Found]) -> None:
        parts = [part for part in parts if part.table.num_rows]
        if not parts:
            return
        table, metrics = joined(parts)
        doubles = self.doubles(table)
        columns = self.columns(table)
        places = np.arange(table.num_rows)
        if doubles is not None:
            places = np.cumsum(~doubles) - 1
            columns = {name: values.filter(pa.array(~doubles)) for name, values in columns.items()}
        if not len(columns[self.by]):
            return
        self.let_go()
        columns |= self.metrics(metrics, places, doubles, len(columns[self.by]))
        self.rows.append(columns)

    def columns(self, table: pa.Table) -> Columns:
        """The columns of the schema, but for metrics."""
        raise NotImplementedError

    # -- each entry once

    def doubles(self, table: pa.Table) -> Mask | None:
        """Which rows were there before; None where none was. Equal hashes are a reason to compare, no more."""
        hashes = table["hash"].to_numpy()
        twice, before = self.seen.again(hashes)
        if len(twice) + len(before) == 0:
            return None
        if not self.key:
            return ~first_of_each(hashes) | within(before, hashes)
        doubtful = np.flatnonzero(within(np.unique(np.concatenate([twice, before])), hashes))
        keys = self.keys_of(table, doubtful)
        known = self.known_keys({key[0] for key in keys})
        found = np.zeros(len(hashes), np.bool_)
        for row, key in zip(doubtful, keys, strict=True):
            found[row] = key in known
            known.add(key)
        return found if found.any() else None

    def keys_of(self, table: pa.Table, rows: npt.NDArray[np.int64]) -> list[tuple[Any, ...]]:
        chosen = self.columns(table.take(pa.array(rows)))
        return list(zip(*(comparable(chosen[name]) for name in self.key), strict=True))

    def known_keys(self, first: set[Any]) -> set[tuple[Any, ...]]:
        """The keys of the rows that begin with one of these."""
        if self.rows.length == 0:
            return set()
        frame = pd.DataFrame(self.rows.arrays(self.key), copy=False)
        chosen = frame[frame[self.key[0]].isin(list(first))]
        columns = [comparable(pa.chunked_array([pa.Array.from_pandas(chosen[name])])) for name in self.key]
        return set(zip(*columns, strict=True))

    # -- metrics

    def metrics(self, metrics: pa.Table, places: npt.NDArray[np.int64], doubles: Mask | None, count: int) -> Columns:
        """A column for each name that this table has, or now gets."""
        numbers = {name for name in self.rows.columns if name.startswith("metrics.")}
        columns = {name: np.full(count, np.nan) for name in numbers}
        rows, values = metrics["row"].to_numpy(), metrics["value"].to_numpy()
        names = metrics["name"].unify_dictionaries().combine_chunks() if len(rows) else None
        if names is not None:
            names = pa.concat_arrays(names.chunks) if isinstance(names, pa.ChunkedArray) else names
            codes = names.indices.to_numpy()
            fresh = np.ones(len(rows), np.bool_) if doubles is None else ~doubles[rows]
            words = names.dictionary.to_pylist()
            for code in self.chosen(words, codes[fresh]):
                name = f"metrics.{words[code]}"
                which = np.flatnonzero((codes == code) & fresh)
                column = columns.setdefault(name, np.full(count, np.nan))
                column[places[rows[which]]] = values[which]
                if name not in self.rows.columns:
                    self.rows.add_column(name, "float64", pa.chunked_array([np.full(self.rows.length, np.nan)]))
        return {name: pa.chunked_array([column]) for name, column in columns.items()}

    def chosen(self, words: list[str], codes: npt.NDArray[Any]) -> list[int]:
        """The codes of the names that have a column, or for which there is room."""
        counts = Counter({code: int(number) for code, number in enumerate(np.bincount(codes, minlength=len(words)))})
        known = [code for code, word in enumerate(words) if f"metrics.{word}" in self.rows.columns and counts[code]]
        new = [code for code, number in counts.most_common() if number and code not in set(known)]
        have = sum(name.startswith("metrics.") for name in self.rows.columns)
        room = max(MOST_METRICS - have, 0)
        if new[room:]:
            if not self.left_out:
                log.warning(
                    "metrics: more than %d names; %r and others have no column. Names should not be made from data",
                    MOST_METRICS,
                    words[new[room]][:100],
                )
            self.left_out |= {words[code] for code in new[room : room + 1000]} if len(self.left_out) < 1000 else set()
        return known + new[:room]

    # -- showing

    def frame(self) -> pd.DataFrame:
        """All rows, by columns that are ours: what is written to a shallow copy of it goes elsewhere."""
        if self.shown is None:
            names = [*self.schema, *sorted(name for name in self.rows.columns if name.startswith("metrics."))]
            self.shown = pd.DataFrame(self.rows.arrays(names), columns=names, copy=False)
        copy = self.shown.copy(deep=False)
        if self.left_out:
            copy.attrs["metrics_left_out"] = len(self.left_out)
        return copy

    def let_go(self) -> None:
        """Of the frame that was shown. pandas copies before a write only while another frame holds the same values, so
        that ours stays for as long as somebody has one of it."""
        self.given = [frame for frame in (*self.given, self.shown) if frame is not None and is_out(frame)]
        self.shown = None


def is_out(frame: pd.DataFrame) -> bool:
    """Whether somebody has values of this frame. Where pandas does not tell, they are still safe: they are read-only."""
    try:
        return any(block.refs.has_reference() for block in frame._mgr.blocks)
    except AttributeError:
        return False


def comparable(values: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(values.type) or pa.types.is_duration(values.type):
        values = values.cast(pa.int64())
    return [None if value != value else value for value in values.to_pylist()]


class Attempts(Kept):
    schema, by, key = ATTEMPTS, "finished_at", ("job", "attempt", "claimed_at", "outcome")

    def columns(self, table: pa.Table) -> Columns:
        wait, run = span(table["wait_ms"], 1000), span(table["run_ms"], 1000)
        taken = pc.less(table["finished_at"], table["claimed_at"])
        negative = [pc.fill_null(pc.less(column.cast(pa.int64()), 0), False) for column in (wait, run)]
        jump = pc.or_(pc.or_(*negative), pc.fill_null(taken, False))
        made = {"attempt": table["number"], "wait": wait, "run": run, "clock_jump": jump}
        return {name: made[name] if name in made else table[name] for name in self.schema}


class Items(Kept):
    schema, by, key = ITEMS, "at", ("job", "round", "track", "key")

    def columns(self, table: pa.Table) -> Columns:
        made = {
            "attempt": pc.fill_null(table["number"], 1),
            "round": pc.fill_null(table["round"], 0),
            "run": span(table["seconds"], 1_000_000),
        }
        return {name: made[name] if name in made else table[name] for name in self.schema}


class Events(Kept):
    schema, by, key = EVENTS, "at", ()

    def columns(self, table: pa.Table) -> Columns:
        return {name: table[name] for name in self.schema}


def span(numbers: pa.ChunkedArray, microseconds: int) -> pa.ChunkedArray:
    """A duration of whole microseconds."""
    return pc.round(pc.multiply(numbers, float(microseconds))).cast(pa.int64()).cast(pa.duration("us"))
