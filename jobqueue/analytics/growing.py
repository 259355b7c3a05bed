"""Columns that grow at their end without being copied, and show themselves to pandas without being copied either.

What a frame was once shown is never changed underneath it: new rows go behind it. Rows that belong before others are put in
place only where nothing looks at those any more; else the column moves to a new buffer, and the old one stays with its frames.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Rows = npt.NDArray[np.int64]
NOTHING = np.iinfo(np.int64).min
"""What numpy calls NaT."""
NEVER = np.iinfo(np.int64).max
MANY_CHUNKS = 32


decoder = msgspec.json.Decoder(tuple[str, ...])


class Buffer:
    """Values of one numpy type. Doubles its room when it is full."""

    def __init__(self, dtype: Any, empty: Any = 0) -> None:
        self.empty = empty
        self.data = np.empty(0, dtype)
        self.length = 0
        self.seen = 0
        """So many were shown to somebody."""

    def append(self, values: npt.NDArray[Any]) -> None:
        end = self.length + len(values)
        if end > len(self.data):
            self.move(max(end, len(self.data) * 2 if self.length else end))
        self.data[self.length : end] = values
        self.length = end

    def move(self, room: int, dtype: Any = None) -> None:
        moved = np.empty(room, dtype or self.data.dtype)
        moved[: self.length] = self.data[: self.length]
        self.data = moved
        self.seen = 0

    def shown(self) -> npt.NDArray[Any]:
        self.seen = max(self.seen, self.length)
        view = self.data[: self.length]
        view.flags.writeable = False
        return view

    def looked_at(self, start: int) -> bool:
        """Whether anybody may still look at rows from `start` on: each view holds a reference to the whole."""
        return start < self.seen and sys.getrefcount(self.data) > 2

    def rewrite(self, start: int, values: npt.NDArray[Any]) -> None:
        """Other values from `start` on, maybe more of them."""
        if self.looked_at(start):
            self.move(max(len(self.data), start + len(values)))
        self.length = start
        self.append(values)


class Column:
    """A column of one kind: how it takes values from Arrow, and how pandas sees it."""

    def append(self, values: pa.ChunkedArray) -> None:
        raise NotImplementedError

    def merge(self, start: int, values: pa.ChunkedArray, order: Rows) -> None:
        """Appends, and then puts all rows from `start` on into this order (counted from there)."""
        raise NotImplementedError

    def array(self) -> Any:
        raise NotImplementedError

    def nbytes(self) -> int:
        raise NotImplementedError


class Numbers(Column):
    """Times and spans (microseconds), whole and other numbers, truths."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.is_moment = dtype.startswith(("datetime64", "timedelta64"))
        self.nullable = dtype[:1] in ("I", "U")
        store = "int64" if self.is_moment else dtype.lower() if self.nullable else dtype
        self.buffer = Buffer(store)
        self.missing = Buffer("bool")

    def append(self, values: pa.ChunkedArray) -> None:
        self.buffer.append(self.plain(values))
        if self.nullable:
            self.missing.append(values.is_null().to_numpy())

    def plain(self, values: pa.ChunkedArray) -> npt.NDArray[Any]:
        if self.is_moment:
            values = values.cast(pa.int64())
        if values.null_count:
            values = values.fill_null(NOTHING if self.is_moment else math.nan if self.dtype == "float64" else 0)
        return np.asarray(values.to_numpy())

    def merge(self, start: int, values: pa.ChunkedArray, order: Rows) -> None:
        merge_buffer(self.buffer, start, self.plain(values), order)
        if self.nullable:
            merge_buffer(self.missing, start, values.is_null().to_numpy(), order)

    def array(self) -> Any:
        values = self.buffer.shown()
        if self.nullable:
            return pd.arrays.IntegerArray(values, self.missing.shown(), copy=False)
        if not self.is_moment:
            return values
        if self.dtype.startswith("timedelta"):
            return pd.array(values.view("m8[us]"), copy=False)
        return pd.array(values.view("M8[us]"), copy=False).view(self.dtype)

    def nbytes(self) -> int:
        return self.buffer.data.nbytes + self.missing.data.nbytes


class Categories(Column):
    """Codes into the values that were seen so far, in the order in which they were seen; -1 is missing."""

    def __init__(self) -> None:
        self.codes = Buffer("int8")
        self.known: dict[str, int] = {}
        self.dtype: pd.CategoricalDtype | None = None

    def append(self, values: pa.ChunkedArray) -> None:
        self.codes.append(self.coded(values))

    def merge(self, start: int, values: pa.ChunkedArray, order: Rows) -> None:
        coded = self.coded(values)
        merge_buffer(self.codes, start, coded, order)

    def coded(self, values: pa.ChunkedArray) -> npt.NDArray[Any]:
        parts = [self.translated(chunk) for chunk in values.chunks]
        self.widen()
        return np.concatenate(parts).astype(self.codes.data.dtype) if parts else np.empty(0, self.codes.data.dtype)

    def translated(self, chunk: pa.DictionaryArray) -> npt.NDArray[np.int32]:
        """Its codes, as codes of this column; only values that some row has become known."""
        given = chunk.indices.fill_null(-1).to_numpy()
        used = np.zeros(len(chunk.dictionary) + 1, np.bool_)
        used[given] = True
        codes = np.full(len(chunk.dictionary) + 1, -1, np.int32)  # the last is that of -1
        for number, value in enumerate(chunk.dictionary.to_pylist()):
            if used[number]:
                codes[number] = self.known.setdefault(value, len(self.known))
        return np.asarray(codes[given])

    def widen(self) -> None:
        """As pandas does: the smallest type that has room for all categories."""
        count = len(self.known)
        dtype = np.int8 if count <= 127 else np.int16 if count <= 32767 else np.int32
        if self.codes.data.dtype != dtype:
            self.codes.move(len(self.codes.data), dtype)

    def array(self) -> Any:
        if self.dtype is None or len(self.dtype.categories) != len(self.known):
            self.dtype = pd.CategoricalDtype(pd.Index(list(self.known), dtype="str" if self.known else "object"))
        return pd.Categorical.from_codes(self.codes.shown(), dtype=self.dtype, validate=False)

    def nbytes(self) -> int:
        return self.codes.data.nbytes + sum(map(sys.getsizeof, self.known))


class Texts(Column):
    """Arrow texts in chunks that never change; small ones are put together now and then."""

    def __init__(self) -> None:
        self.chunks: list[pa.Array] = []

    def append(self, values: pa.ChunkedArray) -> None:
        self.chunks += [chunk for chunk in values.chunks if len(chunk)]
        while len(self.chunks) > MANY_CHUNKS:
            start = len(self.chunks) - 2
            while start and len(self.chunks[start]) < len(self.chunks[start + 1]) * 2:
                start -= 1
            self.chunks[start:] = [pa.concat_arrays(self.chunks[start:])]

    def merge(self, start: int, values: pa.ChunkedArray, order: Rows) -> None:
        before, after, position = [], [], 0
        for chunk in self.chunks:
            cut = min(max(start - position, 0), len(chunk))
            if cut:
                before.append(chunk.slice(0, cut))
            if cut < len(chunk):
                after.append(chunk.slice(cut))
            position += len(chunk)
        self.chunks = before
        tail = pa.concat_arrays([*after, *values.chunks])
        self.append(pa.chunked_array([tail.take(pa.array(order))]))

    def array(self) -> Any:
        return pd.array(pa.chunked_array(self.chunks, pa.large_string()), dtype="str")

    def nbytes(self) -> int:
        return sum(chunk.nbytes for chunk in self.chunks)


class Lists(Column):
    """JSON lists of texts, as tuples: nobody can change them under us."""

    def __init__(self) -> None:
        self.buffer = Buffer("object")

    def append(self, values: pa.ChunkedArray) -> None:
        self.buffer.append(self.tuples(values))

    def merge(self, start: int, values: pa.ChunkedArray, order: Rows) -> None:
        merge_buffer(self.buffer, start, self.tuples(values), order)

    def tuples(self, values: pa.ChunkedArray) -> npt.NDArray[Any]:
        found = np.empty(len(values), "object")
        for row, value in enumerate(values.to_pylist()):
            found[row] = () if value is None else decoder.decode(value)
        return found

    def array(self) -> Any:
        return self.buffer.shown()

    def nbytes(self) -> int:
        return self.buffer.data.nbytes


def merge_buffer(buffer: Buffer, start: int, values: npt.NDArray[Any], order: Rows) -> None:
    tail = np.concatenate([buffer.data[start : buffer.length], values])
    buffer.rewrite(start, tail[order])


def column(dtype: str) -> Column:
    kinds: dict[str, Callable[[], Column]] = {"category": Categories, "str": Texts, "object": Lists}
    return kinds[dtype]() if dtype in kinds else Numbers(dtype)


class Growing:
    """Rows in the order of one time column, what has none at the end; of the same time, in the order in which they came."""

    def __init__(self, schema: dict[str, str], by: str) -> None:
        self.schema = dict(schema)
        self.columns = {name: column(dtype) for name, dtype in schema.items()}
        self.by = by
        self.length = 0

    def moments(self) -> npt.NDArray[np.int64]:
        """The times by which the rows stand, as microseconds."""
        found = self.columns[self.by]
        assert isinstance(found, Numbers)
        return found.buffer.data[: self.length]

    def add_column(self, name: str, dtype: str, values: pa.ChunkedArray) -> None:
        self.schema[name] = dtype
        self.columns[name] = column(dtype)
        self.columns[name].append(values)

    def append(self, table: dict[str, pa.ChunkedArray]) -> None:
        count = len(table[self.by])
        if count == 0:
            return
        keys = late(table[self.by].cast(pa.int64()).fill_null(NOTHING).to_numpy())
        order = None if (keys[1:] >= keys[:-1]).all() else np.argsort(keys, kind="stable")
        start = self.place(int(keys.min()))
        if start == self.length:
            for name, column in self.columns.items():
                values = table[name]
                column.append(values if order is None else values.take(pa.array(order)))
        else:
            order = np.argsort(np.concatenate([late(self.moments()[start:]), keys]), kind="stable")
            for name, column in self.columns.items():
                column.merge(start, table[name], order)
        self.length += count

    def place(self, moment: int) -> int:
        """Behind all rows that are not later than this."""
        if moment == NEVER:
            return self.length
        return int(np.searchsorted(self.moments()[: self.timed()], moment, side="right"))

    def timed(self) -> int:
        """How many rows have a time: they stand before those that have none."""
        moments = self.moments()
        if self.length == 0 or moments[-1] != NOTHING:
            return self.length
        return int(np.count_nonzero(moments != NOTHING))

    def arrays(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        return {name: self.columns[name].array() for name in names or self.columns}

    def nbytes(self) -> int:
        return sum(column.nbytes() for column in self.columns.values())


def late(moments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What has no time comes last."""
    return np.where(moments == NOTHING, NEVER, moments)
