"""Handlers: the mark on a plain function, and whether a worker could import it.

A marked function stays what it was: the same object, callable without any queue. A job names a handler by its type,
an exact text; a worker finds it in the registry it was started with, and nowhere else.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from jobqueue.errors import HandlerError, HandlerNotImportable, InvalidJob
from jobqueue.model.request import parse_text, parse_timeout, parse_type
from jobqueue.model.retry import RetryPolicy
from jobqueue.model.times import Duration
from jobqueue.queue.shape import Function, Shape, names_context, read_shape

F = TypeVar("F", bound=Function)
MARK = "__jobqueue_handler__"


# The mark


class HandlerMark(msgspec.Struct, frozen=True, eq=False):
    """What `@handler` notes on a function. `timeout` is in seconds."""

    type: str
    retry: RetryPolicy | None = None
    timeout: float | None = None
    pipeline_version: str | None = None


@overload
def handler(function: F, /) -> F: ...
@overload
def handler(
    type: str | None = None,
    *,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    pipeline_version: str | None = None,
) -> Callable[[F], F]: ...
def handler(
    type: Any = None,
    *,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    pipeline_version: str | None = None,
) -> Any:
    """Marks a plain function as the handler of a type, by default of the type that has the function's name."""

    def mark(function: F) -> F:
        name = getattr(function, "__name__", repr(function))
        try:
            refuse_unfit(function, name)
            noted = read_mark(name, type if isinstance(type, str) else None, retry, timeout, pipeline_version)
        except InvalidJob as error:
            raise HandlerError(f"{name}: {error}") from None
        setattr(function, MARK, noted)
        return function

    if type is None or isinstance(type, str):
        return mark
    return mark(type)


def read_mark(name: str, type: str | None, retry: Any, timeout: Any, version: Any) -> HandlerMark:
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise InvalidJob(f"retry: {retry!r:.80} is not a retry policy; write retry=exponential(attempts=3) or constant(...)")
    return HandlerMark(
        type=parse_type(name if type is None else type),
        retry=retry,
        timeout=None if timeout is None else parse_timeout(timeout),
        pipeline_version=None if version is None else parse_text(version, "pipeline_version"),
    )


def refuse_unfit(function: Any, name: str) -> None:
    """A handler is called once, by name, and returns its result."""
    if not inspect.isfunction(function) and not hasattr(function, "__wrapped__"):
        raise HandlerError(f"{name}: not a function; write @handler above a def")
    if inspect.iscoroutinefunction(function):
        raise HandlerError(f"{name}: an async function; write a plain def, and asyncio.run(...) inside it")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise HandlerError(f"{name}: a generator; return the result, as a list for instance")
    parameters = inspect.signature(function).parameters
    if sum(names_context(parameter.annotation) for parameter in parameters.values()) > 1:
        raise HandlerError(f"{name}: two parameters are annotated JobContext; keep one")
    for parameter in parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise HandlerError(f"{name}: takes *{parameter.name}, but a payload has names only; write out its parameters")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise HandlerError(f"{name}: takes {parameter.name!r} by position only, but a payload has names only; drop the '/'")


def mark_of(value: Any) -> HandlerMark | None:
    try:
        mark = getattr(value, MARK, None)
    except Exception:  # a module may hold objects that answer only where they are at home, such as request proxies
        return None
    return mark if isinstance(mark, HandlerMark) else None


# The handler that a mark makes


class Handler(msgspec.Struct, frozen=True, eq=False):
    """A handler as a worker runs it. `timeout` is in seconds; `takes_context` names the parameter for the JobContext."""

    type: str
    function: Function
    policy: RetryPolicy
    timeout: float | None
    pipeline_version: str | None
    shape: Shape

    @property
    def takes_context(self) -> str | None:
        return self.shape.context

    @property
    def place(self) -> str:
        """Where its source stands: file:line."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else "?"


def handler_of(function: Function) -> Handler:
    """The handler that a marked function is; raises `HandlerError` for one without a mark."""
    mark = mark_of(function)
    if mark is None:
        name = getattr(function, "__name__", repr(function))
        raise HandlerError(f"{name}: not a handler; write @handler above its def")
    return read_handler(function, mark)


@lru_cache(maxsize=1024)
def read_handler(function: Function, mark: HandlerMark) -> Handler:
    policy = mark.retry or RetryPolicy()
    return Handler(mark.type, function, policy, mark.timeout, mark.pipeline_version, read_shape(function))


# Whether a worker could import a function


def require_importable(function: Function) -> None:
    """Raises `HandlerNotImportable`, with the fix, for a function that no other process can import."""
    name = getattr(function, "__qualname__", repr(function))
    home = getattr(function, "__module__", None)
    if "<lambda>" in name:
        problem = "a lambda"
    elif "<locals>" in name:
        problem = f"defined inside {name.split('.<locals>')[0]}()"
    elif home in (None, "__main__"):
        problem = f"defined in {main_place(function)}"
    else:
        problem = lookup_problem(function, str(home), name)
    if problem:
        raise HandlerNotImportable(
            f"{name.rpartition('.')[2]}: {problem}, where a worker cannot import it; put it into a module, such as "
            "handlers.py, import it from there, and start the worker with --handlers handlers.py"
        )


def main_place(function: Function) -> str:
    file = getattr(getattr(function, "__code__", None), "co_filename", "")
    if file.startswith("<ipython-input") or "ipykernel_" in file or "get_ipython" in vars(sys.modules["__main__"]):
        return "a notebook cell"
    return f"the script {Path(file).name}, run as the main program" if file.endswith(".py") else "the main program"


def lookup_problem(function: Function, home: str, name: str) -> str:
    """Why `home.name` is not this function; empty where it is."""
    try:
        found: Any = sys.modules.get(home) or importlib.import_module(home)
    except Exception as error:
        return f"defined in the module {home}, which cannot be imported ({type(error).__name__}: {error})"
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is function:
        return ""
    return f"not what {home}.{name} is now (was the module reloaded, or is another decorator around it?)"
