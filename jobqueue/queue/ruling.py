"""What a user tells all workers of a queue: pauses, limits, budgets. Each of these functions is a method of `Queue`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jobqueue.model.budget import BY, Spent, parse_budgets, settle
from jobqueue.model.control import Control, Pause
from jobqueue.model.limit import NO_LIMIT, Budget, Limit, limit_name, limited_type, merge, parse_concurrency, parse_rate
from jobqueue.model.request import parse_type
from jobqueue.model.times import Duration, parse_moment
from jobqueue.store.recording import me

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue

KEEP: Any = ...
"""What an argument stands at that was not given; None takes back what was said."""


def pause(
    queue: Queue, reason: str = "", *, type: str | None = None, by: str | None = None, until: Duration | None = None
) -> None:
    """Nothing (or nothing of one type) is claimed until `resume`; running jobs go on. It outlasts restarts.

    With `until` (a duration such as `"1h"`, or an aware datetime) it ends by itself.
    """
    now = queue.clock.now()
    ends = None if until is None else parse_moment(until, now, "until")
    said = Pause(by=by or me(), at=now, reason=reason, until=ends)
    queue.store.change_control(lambda control: control.with_pause(type, said))


def resume(queue: Queue, *, type: str | None = None) -> None:
    """Ends the pause of the queue, or of one type; nothing happens where there is none."""
    queue.store.change_control(lambda control: control.with_pause(type, None))


@contextmanager
def paused(queue: Queue, reason: str = "", *, type: str | None = None) -> Iterator[Queue]:
    """Paused for as long as the block lasts."""
    pause(queue, reason, type=type)
    try:
        yield queue
    finally:
        resume(queue, type=type)


def limit(queue: Queue, type: str | None = None, /, *, rate: Any = KEEP, concurrency: Any = KEEP) -> Limit:
    """Limits a type, or without one the whole queue, for all workers together; answers with what holds from now on.

    `rate="30/m"`: at most so many starts in any window; `concurrency=2`: at most so many run at a time. It outlasts
    restarts, and goes before the settings and the handler's mark, which hold again once None takes it back.
    """
    name = limit_name(None if type is None else parse_type(type))
    said: dict[str, Any] = {}
    if rate is not KEEP:
        said["rate"] = None if rate is None else parse_rate(rate)
    if concurrency is not KEEP:
        said["concurrency"] = None if concurrency is None else parse_concurrency(concurrency)

    def change(control: Control) -> Control:
        new = replace(control.limits.get(name, NO_LIMIT), **said)
        others = {other: known for other, known in control.limits.items() if other != name}
        return replace(control, limits=others if new == NO_LIMIT else {**others, name: new})

    queue.store.change_control(change)
    return limits(queue).get(type, NO_LIMIT)


def limits(queue: Queue) -> dict[str | None, Limit]:
    """The limits that hold, by type (None: the whole queue): set here, in jobqueue.yaml, or by live workers' handlers."""
    merged = merge(queue.store.limits(), queue.config.limits)
    return {limited_type(name): merged[name] for name in sorted(merged)}


def budget(queue: Queue, type: str, /, *, per: Any = "day", **amounts: Any) -> list[Spent]:
    """Pauses a type when its jobs have used so much of a metric: `queue.budget("extract", tokens=1_000_000, per="day")`.

    What counts is what handlers count with `ctx.metric("tokens", 1234)`. Running jobs go on, so it may be a little more.
    Periods: hour, day, week, month (in UTC), or a duration like "12h"; then the type goes on by itself. None instead of
    an amount takes that budget back. Answers with what was used of each budget of the type.
    """
    type = parse_type(type)
    gone = {metric for metric, amount in amounts.items() if amount is None}
    kept = {metric: amount for metric, amount in amounts.items() if amount is not None}
    new = parse_budgets(kept, per) if kept or not gone else ()
    change_budgets(queue, type, lambda known: (*(one for one in known if one.metric not in amounts), *new))
    return budgets(queue).get(type, [])


def change_budgets(queue: Queue, type: str, change: Callable[[tuple[Budget, ...]], tuple[Budget, ...]]) -> None:
    """A pause that the old budget made ends, and one begins where the new budget is spent already."""

    def change_control(control: Control) -> Control:
        others = {name: known for name, known in control.budgets.items() if name != type}
        said = change(control.budgets.get(type, ()))
        pauses = {name: pause for name, pause in control.paused_types.items() if name != type or pause.by != BY}
        return replace(control, budgets={**others, type: said} if said else others, paused_types=pauses)

    queue.store.change_control(change_control)
    spending = [spent for spent in queue.store.spent() if spent.type == type]
    queue.store.change_control(lambda control: settle(control, type, spending, queue.clock.now()))


def budgets(queue: Queue) -> dict[str, list[Spent]]:
    """What was used of each budget in its period, by type: `spent`, `left`, `until`, and `str()` of it for people."""
    found: dict[str, list[Spent]] = {}
    for spent in queue.store.spent():
        found.setdefault(spent.type, []).append(spent)
    return found
