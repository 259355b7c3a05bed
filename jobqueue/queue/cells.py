"""A handler that runs the source of a notebook cell: only workers that were started with this very module have it.

    python -m jobqueue.worker --handlers jobqueue.queue.cells

The job file holds the source as plain text, and what it needs of the notebook as JSON. Whoever may write into pending/ can then
run anything as the user of that worker, so it is for your own folder and your own worker.
"""

from __future__ import annotations

import ast
import builtins
import linecache
from collections.abc import Iterator
from symtable import SymbolTable, symtable
from typing import Any

from jobqueue.errors import Discard
from jobqueue.queue.context import JobContext
from jobqueue.queue.handler import handler

CELL = "cell"


@handler(CELL)
def cell(source: str, ctx: JobContext, variables: dict[str, Any] | None = None, out: str | None = None) -> Any:
    """Runs the lines with these variables. The result is what `out` names in the end, else the value of the last line."""
    name = f"<cell of {ctx.id}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # so that tracebacks show its lines
    try:
        tree = ast.parse(source, name)
    except SyntaxError as error:
        raise Discard(f"line {error.lineno}: {error.msg}") from error
    namespace: dict[str, Any] = {"__name__": "__cell__", "ctx": ctx, **(variables or {})}
    last = tree.body[-1] if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    if last is not None:
        tree.body.pop()
    exec(compile(tree, name, "exec"), namespace)
    value = None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), namespace)
    if out is None:
        return value
    if out not in namespace:
        raise Discard(f"out: the cell made nothing called {out!r}")
    return namespace[out]


def needs(source: str) -> set[str]:
    """The names that these lines use and make nowhere; a `SyntaxError` where they are no Python."""
    top = symtable(source, "<cell>", "exec")
    made = {one.get_name() for one in top.get_symbols() if one.is_assigned() or one.is_imported()}
    return set(used(top)) - made - set(dir(builtins)) - {"ctx", "__name__"}


def used(table: SymbolTable) -> Iterator[str]:
    """Names that are looked up outside of all functions and classes."""
    for one in table.get_symbols():
        if one.is_referenced() and (table.get_type() == "module" or one.is_global()):
            yield one.get_name()
    for child in table.get_children():
        yield from used(child)
