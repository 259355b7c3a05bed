"""Whether a Python value is exactly a JSON value, and where it is not."""

from __future__ import annotations

import math
import re
from typing import Any

from jobqueue.errors import NotJSON

DEEPEST = 100
LONGEST_STEP = 80
PLAIN = re.compile(r"[\w -]+")
SMALL = 1 << 62
LARGEST_INT = 10**4000  # Python refuses to print or read integers of more than 4,300 digits


def check_json(value: Any, path: str = "payload", depth: int = 0) -> None:
    """Raises `NotJSON` naming the key path of the first value that JSON cannot hold.

    Lists and tuples are arrays; keys must be texts. Nothing is converted on the quiet: a datetime, a set,
    a NumPy number or NaN is refused with what to write instead.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            check_text(value, path)
    elif kind is dict:
        check_depth(path, depth)
        for key, item in value.items():
            if type(key) is not str:
                raise NotJSON(path, f"the key {key!r:.80} is not a text; JSON keys are texts, write {str(key)!r:.80}")
            if not key.isascii():
                check_text(key, f"{path} (a key)")
            if not plain(item):  # most are, and need no path
                check_json(item, path + step(key), depth + 1)
    elif kind is list or kind is tuple:
        check_depth(path, depth)
        for position, item in enumerate(value):
            if not plain(item):
                check_json(item, f"{path}[{position}]", depth + 1)
    elif kind is float:
        if not math.isfinite(value):
            raise NotJSON(path, f"{value!r} is not a JSON number; use None, or a text")
    elif kind is int:
        if not -LARGEST_INT < value < LARGEST_INT:
            raise NotJSON(path, "an integer of more than 4,000 digits; write it as a text")
    elif kind is not bool and value is not None:
        home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        raise NotJSON(path, f"a {home}{kind.__qualname__} is not a JSON value; {advice(value)}")


def step(key: str) -> str:
    """The part of a path that a key makes: `.rows`; in quotes, and not for ever, where it is no plain word."""
    return f".{key}" if len(key) <= LONGEST_STEP and PLAIN.fullmatch(key) else f"[{key!r:.80}]"


def plain(value: Any) -> bool:
    """Whether a value is certainly fine, seen at a glance."""
    kind = type(value)
    return (kind is str and value.isascii()) or (kind is int and -SMALL < value < SMALL) or kind is bool or value is None


def check_text(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotJSON(path, "a text with a lone surrogate; it is not valid Unicode") from None


def check_depth(path: str, depth: int) -> None:
    if depth > DEEPEST:
        raise NotJSON(path[:80] + "…", f"nested more than {DEEPEST} levels deep (or inside itself)")


def advice(value: Any) -> str:
    """What to write instead, for the values people try most."""
    if hasattr(value, "isoformat"):
        return "write .isoformat()"
    if hasattr(value, "tolist"):
        return "write .tolist()"
    if isinstance(value, (set, frozenset)):
        return "write sorted(...)"
    if isinstance(value, (bytes, bytearray)):
        return "write .decode(), or keep the bytes in a file and pass its path"
    if hasattr(value, "__fspath__"):
        return "write str(...)"
    if isinstance(value, (str, int, float, dict, list, tuple)):
        return f"write {type(value).__mro__[1].__name__}(...)"
    return "use texts, numbers, booleans, None, lists and dicts"
