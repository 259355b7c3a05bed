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
from jobqueue.model.job import Job, Ran
from jobqueue.model.limit import NO_LIMIT, Limit, Rate, fields_of_key, parse_concurrency, parse_rate
from jobqueue.model.ran import ran_of, version_of
from jobqueue.model.request import parse_on_conflict, parse_text, parse_timeout, parse_type
from jobqueue.model.retry import RetryPolicy
from jobqueue.model.times import Duration
from jobqueue.queue.code import code_hash
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
    limit: Limit = NO_LIMIT
    concurrency_key: str | None = None
    on_conflict: str = "wait"
    subject: str | None = None


@overload
def handler(function: F, /) -> F: ...
@overload
def handler(
    type: str | None = None,
    *,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    pipeline_version: str | None = None,
    rate: str | Rate | None = None,
    concurrency: int | None = None,
    concurrency_key: str | None = None,
    on_conflict: str = "wait",
    subject: str | None = None,
) -> Callable[[F], F]: ...
def handler(
    type: Any = None,
    *,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    pipeline_version: str | None = None,
    rate: str | Rate | None = None,
    concurrency: int | None = None,
    concurrency_key: str | None = None,
    on_conflict: str = "wait",
    subject: str | None = None,
) -> Any:
    """Marks a plain function as the handler of a type, by default of the type that has the function's name.

    For all workers on a queue together: `rate="30/m"` starts at most so many in any minute, `concurrency=2` runs at most
    so many at a time, and `concurrency_key="repo"` (or `"{owner}/{repo}"`, over its arguments) one for each key. While
    the key is taken a new job waits; with `on_conflict="reject"` it is not made, with `"supersede"` the others are ended.

    `subject="commit"` (or a template like the key's) says what a job is about. With the `pipeline_version` (a text that you
    raise when prompts, parsers or templates change; without one the source of the function counts) it tells what has been
    processed and what must run again: `analytics.coverage`.
    """

    def mark(function: F) -> F:
        name = getattr(function, "__name__", repr(function))
        try:
            refuse_unfit(function, name)
            noted = read_mark(name, type if isinstance(type, str) else None, retry, timeout, pipeline_version)
            noted = with_limits(noted, function, rate, concurrency, concurrency_key, on_conflict)
            noted = with_subject(noted, function, subject)
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


def with_limits(mark: HandlerMark, function: Function, rate: Any, concurrency: Any, key: Any, conflict: Any) -> HandlerMark:
    limit = Limit(
        rate=None if rate is None else parse_rate(rate),
        concurrency=None if concurrency is None else parse_concurrency(concurrency),
    )
    if key is not None:
        check_template(function, key, "concurrency_key")
    elif conflict != "wait":
        raise InvalidJob("on_conflict: given without concurrency_key")
    return msgspec.structs.replace(mark, limit=limit, concurrency_key=key, on_conflict=parse_on_conflict(conflict))


def with_subject(mark: HandlerMark, function: Function, subject: Any) -> HandlerMark:
    if subject is None:
        return mark
    check_template(function, subject, "subject")
    return msgspec.structs.replace(mark, subject=subject)


def check_template(function: Function, template: Any, field: str) -> None:
    """A template is filled from a payload, so that it may name arguments only."""
    parameters = inspect.signature(function).parameters.values()
    missing = fields_of_key(parse_text(template, field)) - {one.name for one in parameters}
    if missing and not any(one.kind is one.VAR_KEYWORD for one in parameters):
        raise InvalidJob(f"{field}: {min(missing)!r} is not an argument of it; give one, or '{{owner}}/{{repo}}'")


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
    limit: Limit = NO_LIMIT
    code: str = ""
    subject: str | None = None

    @property
    def version(self) -> str:
        """Its pipeline version; where none was given, its source is its version."""
        return self.pipeline_version or version_of(self.code)

    def ran(self, job: Job, seconds: float | None) -> Ran:
        """What is noted of an attempt of this job that took so long."""
        return ran_of(job, self.version, self.code, self.subject, seconds)

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
    shape, code = read_shape(function), code_hash(function)
    return Handler(mark.type, function, policy, mark.timeout, mark.pipeline_version, shape, mark.limit, code, mark.subject)


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
            "handlers.py, import it from there, and start the worker with --handlers handlers.py; or enqueue by its type, "
            "as in queue.enqueue('score', {...}), and run it in this very process: queue.drain()"
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
