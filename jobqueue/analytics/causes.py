"""What failures have in common: a message without what is different each time, and the place in the user's own code. Pure.

Each is one pass over the text: no pattern here looks twice at the same characters, whatever a stranger wrote.
"""

from __future__ import annotations

import re

LONGEST = 10_000
"""Characters of a message that are looked at."""
SHOWN = 300

PATTERN = re.compile(
    r"""
    (?<!\w)(?:'[^']*+'|"[^"]*+"|`[^`]*+`)(?!\w)          # a quoted value; an apostrophe inside a word is none
    | „[^„“”]*+[“”] | [‘“«][^‘“«’”»]*+[’”»]
    | (?P<time>(?<!\d)\d{4}-\d\d-\d\d(?:[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d)
              |(?<!\d)\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?!\d))
    | (?P<url>(?<![\w.+-])[A-Za-z][\w.+-]{0,20}://[^\s'"<>]*+)
    | (?P<word>[^\s'"`‘’“”«»,;:=()\[\]{}<>|]++)
    """,
    re.VERBOSE,
)
HEX = re.compile(r"(?:0[xX])?[0-9a-fA-F]{6,}")
NUMBER = re.compile(r"[-+]?\d[\d._]*(?:[eE][-+]?\d+)?")
DIGITS = re.compile(r"\d+(?:[._]\d+)*")
SPACE = re.compile(r"\s+")
LONG_ID = 12
QUOTED, TIME, URL, PATH, ID, N = "'…'", "<time>", "<url>", "<path>", "<id>", "<n>"


def cause_of(message: str) -> str:
    """The message with a placeholder for each number, id, path, address, time and quoted value; the same for like failures.

    `row 17 of '/data/a.csv' at 2026-01-02T03:04:05Z` is `row <n> of '…' at <time>`.
    """
    text = SPACE.sub(" ", PATTERN.sub(placeholder, message[:LONGEST])).strip()
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def placeholder(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "time":
        return TIME
    if kind == "url":
        return URL
    return QUOTED if kind is None else without_values(match[0])


def without_values(word: str) -> str:
    """A word as it is in every message of its kind."""
    if "/" in word or "\\" in word:
        return PATH if any(character.isalnum() for character in word) else word
    if not any(character.isdigit() for character in word):
        return word
    bare = word.strip(".!?*#~^$@&%+-_")
    if NUMBER.fullmatch(bare):
        return word[: word.index(bare)].rstrip("+-") + N + word[word.index(bare) + len(bare) :]
    if HEX.fullmatch(bare) or len(bare) >= LONG_ID:
        return ID + word[word.index(bare) + len(bare) :]
    return DIGITS.sub(N, word)


# Where it was raised

SEPARATOR = re.compile(r"[/\\]")
FRAME = re.compile(r'^ {2}File "([^"\n]+)", line (\d+), in ([^\n]+)$', re.MULTILINE)
NOT_OURS = re.compile(
    r"site-packages|dist-packages|[\\/]lib[\\/]python\d|[\\/]jobqueue[\\/](?:worker|queue|store|model)[\\/]|^<frozen"
)


def place_of(traceback: str) -> str | None:
    """The innermost frame of the user's own code, `scan.py:12 in parse`, the path cut to its last two names; where all of it
    is others' code, the innermost frame."""
    frames = FRAME.findall(traceback)
    if not frames:
        return None
    ours = [frame for frame in frames if not NOT_OURS.search(frame[0])]
    path, line, name = (ours or frames)[-1]
    return f"{'/'.join(SEPARATOR.split(path)[-2:])}:{line} in {name}"
