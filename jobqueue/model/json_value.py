"""Whether a Python value is exactly a JSON value, and where it is not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from jobqueue.errors import NotJSON

DEEPEST = 100
PLAIN = re.compile(r"[\w -]+")
SMALL = 1 << 62
LONGEST_BRIEF = 80
LONGEST_PATH = 200
MOST_DIGITS = 4000  # Python refuses to print or read integers of more than 4,300 digits


class Wrong(Exception):
    """What is wrong with a value, and on the way out the path to it: none is made for the values that are fine."""

    def __init__(self, problem: str, part: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.parts = [part] if part else []


def check_json(value: Any, path: str = "payload", deepest: int = DEEPEST, digits: int = MOST_DIGITS) -> None:
    """Raises `NotJSON` naming the key path of the first value that JSON cannot hold.

    Lists and tuples are arrays; keys must be texts. Nothing is converted on the quiet: a datetime, a set,
    a NumPy number or NaN is refused with what to write instead.
    """
    try:
        check(value, deepest, ten_to_the(digits))
    except Wrong as wrong:
        full = path + "".join(reversed(wrong.parts))
        raise NotJSON(full if len(full) <= LONGEST_PATH else full[:LONGEST_PATH] + "…", wrong.problem) from None


@lru_cache(maxsize=8)
def ten_to_the(digits: int) -> int:
    """Kept, since making it takes longer than all the rest of a check."""
    return int(10**digits)


def check(value: Any, deepest: int, largest: int, depth: int = 0) -> None:
    kind = type(value)
    if kind is str:
        if not value.isascii():
            check_text(value)
    elif kind is dict:
        check_keys(value)
        check_items(value.items(), deepest, largest, depth)
    elif kind is list or kind is tuple:
        check_items(enumerate(value), deepest, largest, depth)
    elif kind is float:
        if not math.isfinite(value):
            raise Wrong(f"{value!r} is not a JSON number; use None, or a text")
    elif kind is int:
        if not -largest < value < largest:
            raise Wrong("an integer of more than 4,000 digits; write it as a text")
    elif kind is not bool and value is not None:
        home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        raise Wrong(f"a {home}{kind.__qualname__} is not a JSON value; {advice(value)}")


def check_keys(value: dict[Any, Any]) -> None:
    for key in value:
        if type(key) is not str:
            raise Wrong(f"the key {brief(key)} is not a text; JSON keys are texts, write {brief(str(key))}")
        if not key.isascii():
            check_text(key, " (a key)")


def check_items(items: Iterable[tuple[str | int, Any]], deepest: int, largest: int, depth: int) -> None:
    """The values of an object, or of an array, each with its key or its place."""
    if depth > deepest:
        raise Wrong(f"nested more than {deepest} levels deep (or inside itself)")
    for key, item in items:
        if not plain(item):
            try:
                check(item, deepest, largest, depth + 1)
            except Wrong as wrong:
                wrong.parts.append(step(key))
                raise


def step(key: str | int) -> str:
    """One step of a path, in one short line whatever the key holds."""
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if len(key) <= LONGEST_BRIEF and PLAIN.fullmatch(key) else f"[{brief(key)}]"


def plain(value: Any) -> bool:
    """Whether a value is certainly fine, seen at a glance."""
    kind = type(value)
    return (kind is str and value.isascii()) or (kind is int and -SMALL < value < SMALL) or kind is bool or value is None


def check_text(value: str, part: str = "") -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Wrong("a text with a lone surrogate; it is not valid Unicode", part) from None


def brief(value: Any) -> str:
    """A value as Python writes it, in one line of at most 80 characters: for messages."""
    try:
        text = repr(value)
    except ValueError:  # of an integer with more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST_BRIEF else text[: LONGEST_BRIEF - 1] + "…"


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
