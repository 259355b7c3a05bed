"""Strangers' text made safe to show: ids, types, names, payloads and errors say what they like, and do nothing.

A terminal obeys control characters, and text that turns its direction, or hides, is read as what it is not. All of these
are spelled out, like `\\x1b`; what is left is one line.
"""

from __future__ import annotations

import logging
import re
from shlex import quote

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""Control characters, those that turn the direction of writing or are not to be seen, and half characters (bytes of a name
that is not UTF-8). The two joiners are left: scripts and emoji need them."""
NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def inert(text: str) -> str:
    """One line that is safe to show, with what is not spelled out, like `\\x1b`."""
    return text if text.isascii() and text.isprintable() else UNSAFE.sub(spelled, text)


def inert_lines(text: str) -> str:
    """The same where lines are meant: line ends and tabs stay."""
    return "\n".join("\t".join(map(inert, line.split("\t"))) for line in text.split("\n"))


def spelled(match: re.Match[str]) -> str:
    character = match[0]
    if character in NAMED:
        return NAMED[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shell_word(name: str) -> str:
    """A name as a person can paste it into any shell, and nothing in it is run or obeyed."""
    if inert(name) == name:
        return quote(name)
    spelled_out = "".join(chr(byte) if is_plain(byte) else f"\\0{byte:03o}" for byte in name.encode("utf-8", "surrogateescape"))
    return f"\"$(printf %b '{spelled_out}')\""


def is_plain(byte: int) -> bool:
    return 0x20 <= byte < 0x7F and byte not in b"\\'"


class OneLine(logging.Filter):
    """What is put into a message of ours stays in its line, whoever prints it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(arg if isinstance(arg, (int, float)) else inert(str(arg)) for arg in record.args)
        return True


def inert_logger(name: str) -> logging.Logger:
    """The logger of this name; all that is logged there is one safe line."""
    logger = logging.getLogger(name)
    if not any(isinstance(known, OneLine) for known in logger.filters):
        logger.addFilter(OneLine())
    return logger
