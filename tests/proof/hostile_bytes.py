"""Bytes of job files: good ones of every kind, and mutations of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

FAILURE = {"reason": "crashed", "message": "it broke\nbadly", "exit_code": -11, "traceback": "Traceback ..."}
ATTEMPT = {"number": 1, "outcome": "failed", "worker": "w", "claimed_at": "2026-01-01T00:00:00Z", "error": FAILURE}

GOOD: list[dict[str, Any]] = [
    {"type": "scan"},
    {"type": "scan", "payload": {"repo": "octo/cat", "n": 1, "x": 2.5, "flags": [True, False, None], "é": "漢\u2028"}},
    {"type": "scan", "priority": "high", "tags": ["a", "b"], "timeout": "10m", "max_attempts": 5, "name": "one"},
    {"type": "scan", "maxRetries": 2, "projectId": 7, "batchId": "b", "scanId": 9, "data": {"a": {"b": {"c": []}}}},
    {"type": "scan", "backoff": ["1s", "10s"], "run_after": "2099-01-01T00:00:00+02:00", "expiresAt": "2099-01-02T00:00:00Z"},
    {"type": "scan", "backoff": {"base": "1s", "factor": 3, "cap": "1h", "jitter": 0.1}, "max_crashes": 1, "timeout": 30},
    {"type": "scan", "after": ["a", "b"], "on_parent_failure": "run", "concurrency_key": "k", "on_conflict": "reject"},
    {"type": "scan", "idempotency_key": "k", "key_scope": "24h", "pipeline_version": "3", "redo_of": {"id": "old"}},
    {"type": "scan", "owner": "somebody", "status": "done", "attempts": 99, "extra": {"deep": [[[]]]}, "unknown": {"a": 1}},
    {"id": "x", "type": "scan", "payload": {"n": 1}, "created_at": "2026-01-01T00:00:00.123456Z", "priority": 3},
    {
        "id": "x",
        "type": "scan",
        "written_by": "worker-1",
        "attempts": 2,
        "max_attempts": 3,
        "result": {"a": 1},
        "finished_at": "2026-01-02T00:00:00Z",
        "claimed_at": "2026-01-01T00:00:00Z",
        "locked_by": "w",
        "history": [ATTEMPT],
        "progress": {"percent": 40, "at": "2026-01-01T00:00:00Z"},
        "metrics": {"rows": 3.0},
        "artifacts": {"a": {"b": 1}},
    },
    {"id": "x", "type": "scan", "written_by": "w", "error": FAILURE, "finished_at": "2026-01-02T00:00:00Z"},
]

ODD_TEXTS = [
    "",
    " ",
    "\0",
    "\n",
    "..",
    "../../x",
    "/etc/passwd",
    "x" * 1001,
    "x" * 20_001,
    "\u2028",
    "\U0001f600",
    "$(id)",
    "%s",
    "10m",
]
ODD_TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "2026-01-01", "20260101T000000Z"]
ODD_NUMBERS = [0, -1, 1.5, -0.0, 1e308, 5e-324, 2**63, -(2**63), 2**64, 10**30, 10**1001, 10**4100, 1_000_000, 1_000_001, True]
ODD: list[Any] = [None, [], {}, [None], {"": ""}, [[[[]]]], {"type": "scan"}, *ODD_TEXTS, *ODD_TIMES, *ODD_NUMBERS]
FIELDS = sorted(
    {key for document in GOOD for key in document} | {"delay", "job_id", "jobId", "last_error", "completedAt", "title"}
)

TOKENS = [
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"1e-999",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"0x10",
        b"-",
        b"--1",
        b"1e",
    ),
    *(
        rb"\ud800",
        rb"\udfff",
        rb"\ud83d\ude00",
        rb"\u0000",
        rb"\x41",
        rb"\u12",
        b"\\",
        b'"',
        b"'",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xc0\x80",
    ),
    *(
        b"\xed\xa0\x80",
        b"\0",
        b"\x1b[2J",
        b"\r",
        b"\xe2\x80\xa8",
        b"//",
        b"/*",
        b"#",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
    ),
    *(
        b"[" * 120,
        b'{"a":' * 120,
        b"9" * 4100,
        b"9" * 4400,
        b"0." + b"1" * 500,
        b" " * 300,
        b'"type"',
        b'"id":"x"',
        b'"written_by":"w"',
    ),
]


def good(rng: random.Random) -> dict[str, Any]:
    return dict(rng.choice(GOOD))


def dumped(rng: random.Random, document: Any) -> bytes:
    """The bytes of a document as one writer or another would write it."""
    indent, ascii_only = rng.choice([None, None, 1, 2, 4]), rng.random() < 0.5
    return json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


def mutated(rng: random.Random) -> bytes:
    """One of the good ones with up to five changes to its bytes, or to its structure."""
    if rng.random() < 0.4:
        document = good(rng)
        for _ in range(rng.randint(1, 3)):
            document = rng.choice(STRUCTURAL)(rng, document)
        return dumped(rng, document) if rng.random() < 0.7 else doubled(rng, document)
    data = dumped(rng, good(rng))
    for _ in range(rng.randint(1, 5)):
        data = rng.choice(BYTES)(rng, data)
    return data


def changed(rng: random.Random, data: bytes) -> bytes:
    """One change to these bytes, or to the structure of the document that they are."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and rng.random() < 0.7:
        try:
            return dumped(rng, rng.choice(STRUCTURAL)(rng, document))
        except (ValueError, RecursionError):
            pass
    return rng.choice(BYTES)(rng, data)


# -- changes to bytes


def flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def cut_out(rng: random.Random, data: bytes) -> bytes:
    start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    return data[:start] + data[end:]


def splice(rng: random.Random, data: bytes) -> bytes:
    other = dumped(rng, good(rng))
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(TOKENS) + data[at:]


def exchange(rng: random.Random, data: bytes) -> bytes:
    """Another token in place of a value."""
    at = data.find(b":", rng.randint(0, len(data))) + 1
    return data[:at] + rng.choice(TOKENS) + data[min((data + b",").find(b",", at), len(data)) :]


def repeat(rng: random.Random, data: bytes) -> bytes:
    start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    return data[:end] + data[start:end] * rng.randint(1, 3) + data[end:]


BYTES: list[Callable[[random.Random, bytes], bytes]] = [flip, cut, cut_out, splice, insert, insert, exchange, repeat]


# -- changes to the structure


def other_value(rng: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    return document | {rng.choice(list(document)): rng.choice(ODD)} if document else document


def other_field(rng: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    return document | {rng.choice(FIELDS): rng.choice(ODD)}


def without(rng: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    key = rng.choice([*document, ""])
    return {other: value for other, value in document.items() if other != key}


def renamed(rng: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    key, name = rng.choice([*document, ""]), rng.choice([*FIELDS, *ODD_TEXTS])
    return {name if other == key else other: value for other, value in document.items()}


def deeper(rng: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    value: Any = rng.choice(ODD)
    for _ in range(rng.choice([1, 5, 95, 99, 100, 101, 110, 120])):
        value = [value] if rng.random() < 0.5 else {rng.choice(["a", "é", "\n"]): value}
    return document | {rng.choice(["payload", "extra", "result", "redo_of", "unknown"]): {"x": value}}


def longer(rng: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    field = rng.choice(["history", "tags", "after", "payload", "extra", "metrics"])
    count = rng.choice([99, 101, 500])
    lists: dict[str, Any] = {"history": [ATTEMPT] * count, "tags": ["t"] * count, "after": [f"p{n}" for n in range(count)]}
    return document | {field: lists.get(field, {f"k{n}": n for n in range(count)})}


STRUCTURAL: list[Callable[[random.Random, dict[str, Any]], dict[str, Any]]] = [
    *(other_value, other_value, other_field, other_field, without, renamed, deeper, longer)
]


def doubled(rng: random.Random, document: dict[str, Any]) -> bytes:
    """With one key twice, which no dict can hold."""
    entries = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document.items()]
    entries.insert(rng.randint(0, len(entries)), rng.choice(entries or ['"type": "scan"']))
    return ("{" + ", ".join(entries) + "}").encode()
