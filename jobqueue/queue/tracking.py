"""`ctx.track`: a loop with progress, a place to stop at, and a record of each item, so that no attempt does one twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from jobqueue.errors import InvalidJob
from jobqueue.model.entry import item_key as item_text
from jobqueue.model.json_value import check_json

if TYPE_CHECKING:
    from jobqueue.queue.context import JobContext

LONGEST_KEY = 1000
T = TypeVar("T")
Key = str | int | Callable[[Any], Any] | None


def track(
    context: JobContext, iterable: Iterable[T], key: Key, total: int | None, message: str | None, name: str, once: bool
) -> Iterator[T]:
    """Yields the items that no attempt of this run of the job has recorded (and with `once`, no job at this version);
    records each when the next is asked for."""
    total = length(iterable) if total is None else total
    pace = Pace(context, total, message, recorded(context, name))
    processed = done_before(context, key, name) if once else frozenset[str]()
    for position, item in enumerate(iterable):
        item_key = key_of(item, key, position)
        if pace.skips(item_key):
            continue
        if processed and item_text(item_key) in processed:
            pace.pass_over()
            continue
        context.check_cancelled()
        began = time.monotonic()
        with context.telling.counted() as metrics:
            yield item
        context.notes.add_item(
            context.id,
            {
                "track": name,
                "key": item_key,
                "seconds": round(time.monotonic() - began, 6),
                "metrics": metrics,
                "at": datetime.now(timezone.utc),
                "attempt": context.attempt,
                "round": context.round,
                "version": context.version,
            },
        )
        pace.advance()
    pace.tell()


class Pace:
    """How far a loop is and how long it will take: `skip` counts the keys that are done already."""

    def __init__(self, context: JobContext, total: int | None, message: str | None, skip: Counter[str]) -> None:
        self.telling = context.telling
        self.total = total
        self.message = message
        self.skip = skip
        self.left_to_skip = skip.total()
        self.done = self.done_now = 0
        self.started = time.monotonic()
        self.tell()

    def skips(self, key: Any) -> bool:
        """Whether this one is done already. A key that comes twice was recorded twice: each record skips one item."""
        text = json.dumps(key)
        if not self.skip[text]:
            return False
        self.skip[text] -= 1
        self.left_to_skip -= 1
        self.done += 1
        return True

    def pass_over(self) -> None:
        """This one is done already, by another job; a moment later that is seen."""
        self.done += 1

    def advance(self) -> None:
        self.done += 1
        self.done_now += 1
        self.tell()

    def tell(self) -> None:
        if self.total is None:
            self.telling.count_items(self.done, self.message)
        else:
            self.telling.say(self.done, self.message, self.total, self.seconds_left())

    def seconds_left(self) -> float | None:
        if self.total is None or not self.done_now:
            return None
        each = (time.monotonic() - self.started) / self.done_now
        return round(max(0, self.total - self.done - self.left_to_skip) * each, 3)


def recorded(context: JobContext, name: str) -> Counter[str]:
    """How often each key was recorded by this run of the job: since it was made, or since it was done the last time."""
    rows = context.notes.items(context.id)
    return Counter(json.dumps(row.get("key")) for row in rows if row.get("track") == name and row.get("round") == context.round)


def done_before(context: JobContext, key: Key, name: str) -> Set[str]:
    """What jobs of this type have done at the version that runs now."""
    if key is None:
        raise InvalidJob("once: needs a key, which tells an item from others wherever it stands; give key='sha' or the like")
    context.telling.at_once = True
    if context.job.force or context.version is None:
        return frozenset()
    return context.notes.processed(context.job.type, context.version, name)


def length(iterable: Any) -> int | None:
    try:
        return len(iterable)
    except TypeError:
        return None


def key_of(item: Any, key: Key, position: int) -> Any:
    """What tells this item from the others: a JSON scalar."""
    if key is None:
        return position
    found = key(item) if callable(key) else field_of(item, key, position)
    if type(found).__module__ == "numpy" and hasattr(found, "item"):
        found = found.item()
    if isinstance(found, (dict, list, tuple)):
        raise InvalidJob(
            f"key: item {position} has a {type(found).__name__} for a key; give one text or number, like "
            "key=lambda item: str(...)"
        )
    check_json(found, f"key of item {position}")
    if isinstance(found, str) and len(found) > LONGEST_KEY:
        raise InvalidJob(f"key: that of item {position} has {len(found):,} characters, above the limit of {LONGEST_KEY:,}")
    return found


def field_of(item: Any, key: str | int, position: int) -> Any:
    """An entry of a mapping or a tuple, an attribute of anything else."""
    if isinstance(key, str) and not isinstance(item, Mapping) and hasattr(item, key):
        return getattr(item, key)
    try:
        return item[key]
    except (LookupError, TypeError):
        raise InvalidJob(
            f"key: item {position} ({type(item).__name__}) has no {key!r}; give the name of a field it has"
        ) from None
