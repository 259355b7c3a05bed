"""A second reader of JSON, written from RFC 8259 alone: what it refuses must be refused, what it accepts must be read the same.

It keeps no document on the call stack and knows no other reader, so the two of them can only agree by both being right.
"""

from __future__ import annotations

import re
from typing import Any

DEEPEST = 110
MOST_DIGITS = 4300
WHITE = re.compile(r"[ \t\n\r]*")
TEXT = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORDS = {"true": True, "false": False, "null": None}


class Refused(Exception):
    """These bytes are not exactly one JSON document that every reader reads the same."""


def read(data: bytes) -> Any:
    """The document; `Refused` where there is none."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    return Reader(text).document()


class Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> Any:
        root: list[Any] = []
        open_ones: list[tuple[Any, str]] = [(root, "")]
        """The arrays and objects that are still open, each with the character that closes it."""
        self.value_or_opening(open_ones)
        while len(open_ones) > 1:
            self.step(open_ones)
        self.skip()
        if self.at != len(self.text):
            raise Refused("something behind the document")
        return root[0]

    def step(self, open_ones: list[tuple[Any, str]]) -> None:
        """One entry of the innermost array or object, or its end."""
        holder, end = open_ones[-1]
        self.skip()
        if self.next(end):
            open_ones.pop()
            return
        if holder and not self.next(","):
            raise Refused("no comma")
        self.skip()
        self.value_or_opening(open_ones)

    def value_or_opening(self, open_ones: list[tuple[Any, str]]) -> None:
        holder = open_ones[-1][0]
        key = self.key(holder) if isinstance(holder, dict) else None
        self.skip()
        value: Any
        if self.next("{"):
            value = {}
        elif self.next("["):
            value = []
        else:
            value = self.scalar()
        if isinstance(holder, dict):
            holder[key] = value
        else:
            holder.append(value)
        if isinstance(value, (dict, list)):
            if len(open_ones) - 1 > DEEPEST:
                raise Refused("too deep")
            open_ones.append((value, "}" if isinstance(value, dict) else "]"))

    def key(self, holder: dict[str, Any]) -> str:
        key = self.string()
        self.skip()
        if not self.next(":") or key in holder:
            raise Refused("no colon, or the same key twice")
        return key

    def scalar(self) -> Any:
        for word, value in WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self.string() if self.text.startswith('"', self.at) else self.number()

    def number(self) -> int | float:
        match = NUMBER.match(self.text, self.at)
        if match is None:
            raise Refused("no value")
        self.at = match.end()
        if match[1] is None and match[2] is None:
            if len(match[0].lstrip("-")) > MOST_DIGITS:
                raise Refused("too many digits")
            return int(match[0])
        number = float(match[0])
        if number in (float("inf"), float("-inf")):
            raise Refused("too large")
        return number

    def string(self) -> str:
        match = TEXT.match(self.text, self.at)
        if match is None:
            raise Refused("no text")
        self.at = match.end()
        units = ESCAPE.sub(unescaped, match[0][1:-1])
        try:  # two halves of a pair become one character, a half without the other is refused
            return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "strict")
        except UnicodeDecodeError:
            raise Refused("a lone surrogate") from None

    def next(self, char: str) -> bool:
        found = bool(char) and self.text.startswith(char, self.at)
        self.at += found
        return found

    def skip(self) -> None:
        match = WHITE.match(self.text, self.at)
        self.at = match.end() if match else self.at


def unescaped(match: re.Match[str]) -> str:
    return SHORT[match[2]] if match[1] is None else chr(int(match[1], 16))
