"""A call checked against a handler's signature: what goes into a job, what a worker hands over, what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobqueue.errors import HandlerError, InvalidJob
from jobqueue.model.json_value import check_json
from jobqueue.model.request import nearest
from jobqueue.queue.handler import Handler, handler_of
from jobqueue.queue.shape import Function, from_json, to_json


def check_call(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The payload that a call of the handler means; raises `InvalidJob` saying which argument is wrong, and how."""
    handler = handler_of(function)
    shape = handler.shape
    payload = {**name_positions(handler, args, kwargs), **kwargs}
    check_names(handler, payload)
    for name in shape.rich & payload.keys():
        payload[name] = to_json(payload[name])
    check_json(payload)
    read_payload(handler, payload)
    return payload


def name_positions(handler: Handler, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    names = handler.shape.positional
    if len(args) > len(names):
        takes = f"{len(names)} ({', '.join(names)})" if names else "none"
        plural = "s" if len(args) > 1 else ""
        raise InvalidJob(f"{handler.type}: {len(args)} argument{plural} given by position, it takes {takes}")
    named = dict(zip(names, args, strict=False))
    for name in named.keys() & kwargs.keys():
        raise InvalidJob(f"{handler.type}: the argument {name!r} is given twice, by position and by name")
    return named


def check_names(handler: Handler, payload: Mapping[str, Any]) -> None:
    shape = handler.shape
    if shape.context in payload:
        raise InvalidJob(f"{handler.type}: {shape.context!r} is filled in by the worker; leave it out")
    takes = f"it takes {', '.join(shape.names) or 'no arguments'}"
    for name in payload:
        if not shape.open and name not in shape.names:
            raise InvalidJob(f"{handler.type}: no argument {name!r:.80}{nearest(str(name), set(shape.names))}; {takes}")
    if not shape.required <= payload.keys():
        missing = [repr(name) for name in shape.names if name in shape.required and name not in payload]
        plural = "s" if len(missing) > 1 else ""
        raise InvalidJob(f"{handler.type}: missing argument{plural} {', '.join(missing)}; {takes}")


def read_payload(handler: Handler, payload: Mapping[str, Any]) -> Any:
    try:
        return from_json(payload, handler.shape.record, "payload")
    except ValueError as error:
        raise InvalidJob(f"{handler.type}: {error}") from None


def convert_payload(handler: Handler, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments that a payload means, as the annotated types; raises `InvalidJob` as `check_call` does."""
    check_names(handler, payload)
    record = read_payload(handler, payload)
    known = handler.shape.names
    return {name: getattr(record, name) if name in known else value for name, value in payload.items()}


def check_result(handler: Handler, result: Any) -> Any:
    """The result as JSON; raises `NotJSON` naming the path, or `HandlerError` where it does not fit the annotation."""
    shape = handler.shape
    value = to_json(result) if shape.result_rich else result
    check_json(value, "result")
    try:
        from_json(value, shape.result, "result")
    except ValueError as error:
        raise HandlerError(f"{handler.type}: {error}; return what the function's annotation says, or change it") from None
    return value
