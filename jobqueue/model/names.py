"""Ids and slugs: names that order the queue, and names that people read."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import islice
from typing import Any

ID = re.compile(r"(\d\d)-(\d{8}T\d{12})(d?)-([0-9a-f]{8})(?:~\d+)?", re.ASCII)
GIVEN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@=+~-]{0,199}")
WORD = re.compile(r"[a-z0-9]{1,40}")
SLUG_WORDS = 5
LONGEST_SLUG_SOURCE = 200
SLUG_SOURCES = ("prompt", "title", "name", "url", "path", "file", "repo", "query", "text")


def stamp(moment: datetime) -> str:
    """A UTC time as names write it, `20261122T061500123456`; many times faster than strftime."""
    text = moment.isoformat(timespec="microseconds")
    return text[:4] + text[5:7] + text[8:13] + text[14:16] + text[17:19] + text[20:26]


def read_stamp(text: str) -> datetime | None:
    """The UTC time of a stamp; None where there is no such time (a name may say the 99th of the 13th month)."""
    try:
        return datetime.fromisoformat(f"{text[:15]}.{text[15:]}").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def make_id(priority: int, due: datetime, delayed: bool, salt: str) -> str:
    """An id that sorts into the order of the queue: priority, then the time it may first run, then randomness.

    `10-20261122T061500123456-7f3a9c2b`; a `d` behind the time marks it as a `run_after`, so that a worker knows
    without opening the file that it is not due. `salt` is eight hex digits.
    """
    return f"{priority:02}-{stamp(due)}{'d' if delayed else ''}-{salt}"


def request_key(type: str, payload: Mapping[str, Any], pipeline_version: str | None) -> str:
    """An idempotency key for a request that brought none: the same type, payload and version make the same key."""
    text = json.dumps([type, payload, pipeline_version], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{type[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def slug(payload: Mapping[str, Any], fallback: str, epoch_ms: int) -> str:
    """A readable name: the first words of the payload's prompt (or title, url, ...) and the time in epoch ms.

    `extract-the-login-form-component-1708099200000`; where the payload says nothing readable, the type serves.
    """
    text = fallback
    for source in SLUG_SOURCES:
        value = payload.get(source)
        if type(value) is str and value.strip():
            text = value
            break
    plain = text[:LONGEST_SLUG_SOURCE]
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    words = [match[0] for match in islice(WORD.finditer(plain.lower()), SLUG_WORDS)]
    return f"{'-'.join(words) or 'job'}-{epoch_ms}"
