"""What is to be enqueued, as it comes from a shell: arguments, or one JSON document for each line of a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from jobqueue.errors import InvalidJob, JobQueueError

if TYPE_CHECKING:
    from jobqueue.model.job import Job
    from jobqueue.queue.queue import Queue

STDIN = "-"
IGNORED = {"type", "payload", "created_at", "status", "owner", "cancelling", "rejected"}
"""Keys of a line that are no options; with them, what `list --json` prints can be read again."""


class Request(NamedTuple):
    """A job that was asked for; the options decide how it is stored."""

    job: Job
    options: Mapping[str, Any]

    @property
    def manner(self) -> tuple[bool, bool]:
        """Jobs of one manner can be stored as one group."""
        return bool(self.options.get("force")), self.options.get("id") is not None


def read_payload(text: str | None, settings: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The payload argument (`-` is the standard input) with what --set says put over it."""
    if text is None:
        return dict(settings)
    data = sys.stdin.buffer.read() if text == STDIN else text.encode("utf-8", "surrogateescape")
    return decode_payload(data) | dict(settings)


def decode_payload(data: bytes) -> dict[str, Any]:
    from jobqueue.model.request import parse_payload
    from jobqueue.store.codec import decode

    try:
        document = decode(data)
    except JobQueueError as error:
        raise InvalidJob(f"payload: {error}") from None
    return parse_payload(document)


def read_setting(text: str) -> tuple[str, Any]:
    """`key=value`: the value is JSON where it can be read as such, else a text."""
    from jobqueue.store.codec import decode

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not key=value", param_hint="'--set'")
    return key, json_or_text(value, decode)


def json_or_text(value: str, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode(value.encode("utf-8", "surrogateescape"))
    except JobQueueError:
        return value


def read_lines(name: str) -> list[tuple[int, bytes]]:
    """The lines of a file with their numbers, without the empty ones."""
    with click.open_file(name, "rb") as file:
        content: bytes = file.read()
    return [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]


def read_requests(
    queue: Queue, lines: Sequence[tuple[int, bytes]], name: str, type: str | None, options: Mapping[str, Any]
) -> Iterator[Request]:
    """One job for each line; `InvalidJob` names file and line of the first that cannot be one."""
    for number, line in lines:
        try:
            yield read_request(queue, line, type, options)
        except JobQueueError as error:
            where = "stdin" if name == STDIN else name
            raise InvalidJob(f"{where}:{number}: {str(error).removeprefix('line 1, ')}") from None


def read_request(queue: Queue, line: bytes, type: str | None, options: Mapping[str, Any]) -> Request:
    """With a type a line is a payload; without one it is a whole job: type, payload and its own options."""
    from jobqueue.store.codec import decode

    document = decode(line)
    if type is None:
        type, document, own = split_record(document)
        options = {**options, **own}
    return Request(queue.making.job(type, document, options), options)


def split_record(record: Any) -> tuple[str, Any, dict[str, Any]]:
    """Type, payload and options of a document, in our words; what happened to it elsewhere is left out."""
    from jobqueue.model.request import CONTROL_FIELDS, parse_text, parse_type, sort_keys

    if not isinstance(record, dict):
        raise InvalidJob('not a JSON object; a line looks like {"type": "scan", "payload": {}}')
    fields, extra = sort_keys(record)
    if fields.get("type") is None:
        raise InvalidJob("type: missing; put it into the line, or give one TYPE for all lines")
    options = {key: value for key, value in (fields | extra).items() if key not in CONTROL_FIELDS | IGNORED}
    if options.get("id") is not None:
        options["id"] = parse_text(options["id"], "id")
    return parse_type(fields["type"]), fields.get("payload"), options
