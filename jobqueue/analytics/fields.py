"""From the JSON of a field to its column: each function answers with the column, and with which values are of another type."""

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


def category(raw: pa.Array) -> tuple[pa.Array, Mask]:
    """Every value is looked at once, however many rows have it."""
    if raw.null_count == len(raw):
        return raw.dictionary_encode(), np.zeros(len(raw), np.bool_)
    encoded = raw.dictionary_encode()
    texts = [text_in(value) for value in encoded.dictionary.to_pylist()]
    values = pa.array([text or "" for text in texts], pa.large_string())
    if None not in texts:
        return pa.DictionaryArray.from_arrays(encoded.indices, values), np.zeros(len(raw), np.bool_)
    wrong = np.array([text is None for text in texts] + [False], np.bool_)  # the last is that of -1, a missing one
    codes = encoded.indices.fill_null(-1).to_numpy()
    return pa.DictionaryArray.from_arrays(encoded.indices, values), wrong[codes]


def text(raw: pa.Array) -> tuple[pa.Array, Mask]:
    if raw.null_count == len(raw):
        return pa.nulls(len(raw), raw.type), np.zeros(len(raw), np.bool_)  # to keep one of its columns keeps all of them
    plain = pc.binary_slice(raw.cast(pa.large_binary()), 1, -1).cast(pa.large_string())
    wrong = ~pc.fill_null(pc.starts_with(raw, '"'), True).to_numpy(zero_copy_only=False)
    if holds(raw, b"\\"):
        escaped = pc.fill_null(pc.match_substring(raw, "\\"), False)
        values = [text_in(value) or "" for value in raw.filter(escaped).to_pylist()]
        plain = pc.replace_with_mask(plain, escaped, pa.array(values, pa.large_string()))
    return plain, wrong


def holds(texts: pa.Array, byte: bytes) -> bool:
    """Whether a byte stands anywhere in them: a look at all of them at once, many times faster than at each."""
    whole = memoryview(texts.buffers()[2] or b"")
    return bool((np.frombuffer(whole, np.uint8) == byte[0]).any())


def text_in(raw: str) -> str | None:
    value = msgspec.json.decode(raw)
    return value if isinstance(value, str) else None


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
