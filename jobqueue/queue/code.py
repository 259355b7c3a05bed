"""A short hash of what a function does, so that a run can be told from one with other code."""

from __future__ import annotations

import hashlib
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable
from types import CodeType
from typing import Any

LENGTH = 12
UNTOLD = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
"""Comments and blank lines do nothing; indentation shows in what is indented."""


def code_hash(function: Callable[..., Any]) -> str:
    """Twelve hex digits of its source, comments and layout left out; of its bytecode where there is no source."""
    function = inspect.unwrap(function)
    try:
        text = " ".join(words(textwrap.dedent(inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
        text = compiled(function.__code__) if hasattr(function, "__code__") else repr(function)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:LENGTH]


def words(source: str) -> list[str]:
    """What the parser sees. The depth of a line is told, since moving one changes what is done."""
    found, depth = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        depth += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type == tokenize.NEWLINE:
            found.append(f"\n{depth}")
        elif token.type not in UNTOLD:
            found.append(token.string)
    return found


def compiled(code: CodeType) -> str:
    """Functions inside it are told by their code, not by their address."""
    constants = [compiled(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return " ".join([code.co_code.hex(), *code.co_names, *constants])
