"""Bytes to a JSON document, strictly, and a job to readable bytes."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import msgspec

from jobqueue.errors import NotJSON, UnreadableJob
from jobqueue.model.job import Job
from jobqueue.model.json_value import DEEPEST, check_json

ROOM = 10
"""What this package itself puts around a payload, a result or a foreign key: whatever it has written it must read again."""
READABLE_DIGITS = 4300
PRETTY = 64 << 10
"""Above so many bytes a file is written without indents: they could make it many times larger, and larger than may be read."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
encoder = msgspec.json.Encoder()
UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError)
"""All that reading a support file may raise, whatever a power cut or somebody else has left in it."""


def encode(job: Job) -> bytes:
    """The file of a job: UTF-8 JSON, two spaces of indent where it is not large, one newline at the end."""
    try:
        compact = encoder.encode(job)
    except UnicodeEncodeError:  # a file name that is not UTF-8, its own or another's: here it is for people
        compact = encoder.encode(printable(msgspec.to_builtins(job)))
    pretty = msgspec.json.format(compact, indent=2) if len(compact) <= PRETTY else compact
    return (pretty if len(pretty) <= PRETTY else compact) + b"\n"


def printable(value: Any) -> Any:
    """A JSON value with all texts such that UTF-8 can hold them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, (list, tuple)) else value


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise UnreadableJob(f"the key {twice!r:.80} stands twice in one object; keep one of them")
    return document


def refuse_constant(word: str) -> NoReturn:
    raise UnreadableJob(f"{word} is not JSON; write null or a text")


def finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise UnreadableJob("a number is too large for a float; write it as a text")
    return number


decoder = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=refuse_constant, parse_float=finite)


def decode(data: bytes) -> Any:
    """The JSON document in these bytes; `UnreadableJob` with line and column where it is not exactly one."""
    if data.startswith(BYTE_ORDER_MARK):
        data = data[3:]
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UnreadableJob(f"{place(data, error.start)}: not UTF-8 text{encoding_hint(data)}") from None
    try:
        document = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise UnreadableJob(syntax_message(error, text)) from None
    except RecursionError:
        raise UnreadableJob(f"nested more than {DEEPEST} levels deep") from None
    except UnreadableJob:
        raise
    except ValueError:  # int() of more than 4,300 digits
        raise UnreadableJob("an integer of more than 4,300 digits; write it as a text") from None
    if "\\u" in text or text.count("[") + text.count("{") > DEEPEST:
        try:
            check_json(document, "document", DEEPEST + ROOM, READABLE_DIGITS)
        except NotJSON as error:
            raise UnreadableJob(str(error)) from None
    return document


def syntax_message(error: json.JSONDecodeError, text: str) -> str:
    where = f"line {error.lineno}, column {error.colno}"
    if not text.strip(" \t\r\n\0"):
        return "empty" if not text else "nothing but white space or NUL bytes"
    rest = text[error.pos : error.pos + 2]
    hint = ""
    if error.msg == "Extra data":
        hint = "; a file holds one JSON object and nothing behind it"
    elif rest == "//" or rest[:1] == "#" or rest == "/*":
        hint = "; JSON has no comments"
    elif rest[:1] == "'":
        hint = '; JSON texts stand in "double quotes"'
    elif rest == "":
        hint = "; the text ends too early"
    elif "double quotes" in error.msg and rest[:1] in "}]":
        hint = "; is there a comma too many before it?"
    elif rest[:1] == "\0":
        hint = "; a NUL byte"
    return f"{where}: not JSON: {error.msg}{hint}"


def place(data: bytes, position: int) -> str:
    line = data.count(b"\n", 0, position) + 1
    column = position - (data.rfind(b"\n", 0, position) + 1) + 1
    return f"line {line}, column {column}"


def encoding_hint(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return " but UTF-16; save it as UTF-8"
    if data[:2] == b"\x1f\x8b":
        return " but gzip; unpack it first"
    return "; save it as UTF-8"
