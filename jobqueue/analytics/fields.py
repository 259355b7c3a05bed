"""From a field to its column: each function answers with the column, and with which values are of another type; of texts,
with which may be."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobqueue.model.job import Aware

Mask = npt.NDArray[np.bool_]

FIRST_TIME = -62_135_596_800_000_000
LAST_TIME = 253_402_300_799_999_999
"""The microseconds of the years 1 to 9999: what Python and pandas can show."""
LONGEST = 1e14
"""Milliseconds: three thousand years."""


def category(values: pa.Array) -> tuple[pa.Array, Mask]:
    """Every value is looked at once, however many rows have it."""
    encoded = values.dictionary_encode()
    doubts = np.append(doubtful(encoded.dictionary), False)  # the last is that of -1, a missing one
    if not doubts.any():
        return encoded, np.zeros(len(values), np.bool_)
    return encoded, doubts[encoded.indices.fill_null(-1).to_numpy()]


def text(values: pa.Array) -> tuple[pa.Array, Mask]:
    if values.null_count == len(values):
        return pa.nulls(len(values), values.type), np.zeros(len(values), np.bool_)
    return pa.concat_arrays([values]), doubtful(values)  # a copy: to keep one of DuckDB's columns keeps all of them


def doubtful(values: pa.Array) -> Mask:
    """Which of these texts may have been of another type: DuckDB makes texts of those too, and `12` may be 12 or "12".

    The first four bytes clear nearly all of the others."""
    _, offsets, data = values.buffers()
    starts = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    found = starts[1:] > starts[:-1]
    if not found.any():
        return found
    codes = np.frombuffer(data, np.uint8)
    byte = codes[np.minimum(starts[:-1], len(codes) - 1)]
    opens = np.isin(byte, BRACKETS)
    found &= BEGINS[byte]
    for place in range(1, 4):
        if not found.any():
            return found
        before, byte = byte, codes[np.minimum(starts[:-1] + place, len(codes) - 1)]
        goes_on = GOES_ON[byte] & ((byte != MINUS) | ((before | 32) == ord("e")))
        found &= opens | goes_on | (starts[1:] - starts[:-1] <= place)
    rows = np.flatnonzero(found)
    found[rows] = pc.match_substring_regex(values.take(pa.array(rows)), NO_TEXT).to_numpy(zero_copy_only=False)
    return found


def among(characters: str) -> Mask:
    return np.isin(np.arange(256), np.frombuffer(characters.encode(), np.uint8))


BRACKETS = (ord("{"), ord("["))
MINUS = ord("-")
BEGINS = among("{[-0123456789tfniTFNI")
GOES_ON = among("0123456789.+-eEtruefalsnityTRUEFALSNITY")
NO_TEXT = r"^(?:[\[{]|(?i:-?[0-9][-+.e0-9]*|true|false|-?nan|-?inf|-?infinity)$)"
"""What JSON without quotes looks like, and what DuckDB takes for it."""


def number(raw: pa.Array) -> tuple[pa.Array, Mask]:
    try:
        numbers = raw.cast(pa.float64())
        wrong = np.zeros(len(raw), np.bool_)
    except pa.ArrowInvalid:
        is_number = pc.match_substring_regex(raw, r"^-?[0-9][0-9.eE+-]*$")
        numbers = pc.if_else(is_number, raw, None).cast(pa.float64())
        wrong = ~pc.fill_null(is_number, True).to_numpy(zero_copy_only=False)
    return numbers, wrong | ~np.isfinite(numbers.fill_null(0.0).to_numpy())


def whole(bits: int) -> Any:
    """Whole numbers that so many bits can hold; of JSON, 53 is the most."""

    def read(raw: pa.Array) -> tuple[pa.Array, Mask]:
        numbers, wrong = number(raw)
        values = numbers.fill_null(0.0).to_numpy()
        wrong = wrong | (values != np.floor(values)) | (np.abs(values) >= 2.0**bits)
        missing = raw.is_null().to_numpy(zero_copy_only=False)
        return pa.array(np.where(wrong, 0, values).astype(np.int64), mask=missing), wrong

    return read


def time(plain: pa.Array) -> tuple[pa.Array, Mask]:
    """From texts without their quotes: what JSON has else, a number or a list, is no time when it is read as one."""
    wrong = np.zeros(len(plain), np.bool_)
    try:
        moments = plain.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        values = [None if value is None else moment_in(value) for value in plain.to_pylist()]
        moments = pa.array(values, pa.timestamp("us", "UTC"))
        wrong = pc.and_(moments.is_null(), plain.is_valid()).to_numpy(zero_copy_only=False)
    counts = moments.cast(pa.int64()).fill_null(0).to_numpy()
    return moments, wrong | (counts < FIRST_TIME) | (counts > LAST_TIME)


def moment_in(value: str) -> datetime | None:
    try:
        return msgspec.convert(value, Aware)
    except (msgspec.ValidationError, ValueError):
        return None


def duration(longest: float) -> Any:
    def read(raw: pa.Array) -> tuple[pa.Array, Mask]:
        numbers, wrong = number(raw)
        return numbers, wrong | (np.abs(numbers.fill_null(0.0).to_numpy()) >= longest)

    return read


def listing(raw: pa.Array) -> tuple[pa.Array, Mask]:
    """Texts in a list; kept as JSON until a frame shows them."""
    wrong = np.zeros(len(raw), np.bool_)
    for row, value in enumerate(raw.to_pylist()):
        if value is not None:
            found = msgspec.json.decode(value)
            wrong[row] = not isinstance(found, list) or not all(isinstance(id, str) for id in found)
    return raw, wrong


TEXTS = ("category", "text")
CONVERT: dict[str, Any] = {
    "category": category,
    "text": text,
    "int": whole(53),
    "int32": whole(31),
    "int16": whole(15),
    "number": duration(LONGEST),
    "seconds": duration(LONGEST / 1000),
    "time": time,
    "list": listing,
}
