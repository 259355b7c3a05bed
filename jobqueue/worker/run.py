"""One call of one handler, and everything it may do: return, raise, snooze, call sys.exit. Nothing gets past this."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import msgspec

from jobqueue.errors import Discard, InvalidJob, JobCancelled, JobQueueError, Retry, Snooze
from jobqueue.inert import inert
from jobqueue.model.job import Failure
from jobqueue.model.ran import version_for
from jobqueue.model.times import parse_duration
from jobqueue.model.told import Told
from jobqueue.queue.context import JobContext, running
from jobqueue.queue.handler import Handler
from jobqueue.queue.signature import check_result, convert_payload
from jobqueue.worker.verbosity import verbosity

LONGEST_TRACEBACK = 20_000
LONGEST_MESSAGE = 10_000
LARGEST_RESULT = 16 << 20
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


class HandBack(BaseException):
    """Raised inside a handler that runs in the worker's own thread, when the worker must stop now."""


class Result(msgspec.Struct, frozen=True):
    """What a call came to: `kind` is done, failed, final (failed for good), snoozed, cancelled or handed_back.

    `seconds` is how long the handler ran; `until` of a snooze is as the handler gave it; `told` is its progress, metrics
    and artifacts, None where it told nothing.
    """

    kind: str
    value: Any = None
    error: Failure | None = None
    until: Any = None
    delay: float | None = None
    seconds: float = 0.0
    told: Told | None = None


def call(handler: Handler, context: JobContext) -> Result:
    """Runs a handler on a job's payload; every way in which it can end is a `Result`."""
    context.version = version_for(context.job, handler.version)
    started = time.monotonic()
    with verbosity.of(context.job):
        result = attempt_call(handler, context)
    return msgspec.structs.replace(result, seconds=time.monotonic() - started, told=context.close())


def attempt_call(handler: Handler, context: JobContext) -> Result:
    try:
        arguments = convert_payload(handler, context.job.payload)
    except InvalidJob as error:
        return Result("final", error=Failure(reason="payload", type=type(error).__name__, message=str(error)))
    if handler.takes_context is not None:
        arguments[handler.takes_context] = context
    token = running.set(context)
    try:
        value = handler.function(**arguments)
    except HandBack:
        return Result("handed_back")
    except Snooze as error:
        return Result("snoozed", until=error.until)
    except JobCancelled as error:
        message = clean(text_of(error))[:LONGEST_MESSAGE] or "cancelled"
        return Result("cancelled", error=Failure(reason="cancelled", message=message))
    except Discard as error:
        return Result("final", error=failure_of(error))
    except Retry as error:
        return retry_result(error)
    except BaseException as error:
        return Result("failed", error=failure_of(error))
    finally:
        running.reset(token)
    return checked(handler, value)


def checked(handler: Handler, value: Any) -> Result:
    try:
        value = check_result(handler, value)
    except JobQueueError as error:
        message = f"{handler.type} returned what cannot be stored: {error}"
        return Result("final", error=Failure(reason="result", type=type(error).__name__, message=message))
    size = len(msgspec.json.encode(value)) if isinstance(value, (dict, list, tuple, str)) else 0
    if size > LARGEST_RESULT:
        message = f"{handler.type} returned {size:,} bytes, above the limit of {LARGEST_RESULT:,}; return the path of a file"
        return Result("final", error=Failure(reason="result", message=message))
    return Result("done", value=value)


def retry_result(error: Retry) -> Result:
    delay: timedelta | None = None
    if error.delay is not None:
        try:
            delay = parse_duration(error.delay, "delay")
        except InvalidJob as problem:
            return Result("failed", error=failure_of(problem))
    return Result("failed", error=failure_of(error), delay=None if delay is None else delay.total_seconds())


def failure_of(error: BaseException) -> Failure:
    """What an exception says, cut to a size that a file can carry."""
    message = text_of(error)
    if isinstance(error, SystemExit):
        message = f"the handler called sys.exit({error.code!r}); raise an exception or return instead"
    return Failure(
        type=type(error).__qualname__[:200],
        message=clean(message)[:LONGEST_MESSAGE] or type(error).__qualname__,
        traceback=clean(trace_of(error)),
    )


def text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"<its text cannot be had: str() raised {type(second).__name__}>"


def trace_of(error: BaseException) -> str:
    """The traceback from the handler on, without the frames of the worker around it."""
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception:
        text = "".join(traceback.format_tb(frames))
    if len(text) <= LONGEST_TRACEBACK:
        return text
    return f"{text[: LONGEST_TRACEBACK // 4]}\n...\n{text[-LONGEST_TRACEBACK * 3 // 4 :]}"


def clean(text: str) -> str:
    """Text that any JSON reader takes: no lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """The first line of a strangers' text, safe to print."""
    return inert((text.strip().splitlines() or [""])[0][:500])


@contextmanager
def kept_surroundings() -> Iterator[None]:
    """A handler may change the process that it runs in; the next job finds it as it was. Main threads only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    here = current_folder()
    reactions = [(number, signal.getsignal(number)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, reaction in reactions:
            if reaction is not None and signal.getsignal(number) is not reaction:
                signal.signal(number, reaction)
        if here is not None and current_folder() != here:
            with suppress(OSError):
                os.chdir(here)


def current_folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return None


def flush_output() -> None:
    """What the handler printed belongs on the screen before anything else is said."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
