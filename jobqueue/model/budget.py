"""Budgets: how much of something (tokens, money, requests) the jobs of a type may use in a period. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from jobqueue.errors import InvalidJob
from jobqueue.model.control import Control, Pause
from jobqueue.model.limit import Budget
from jobqueue.model.times import UTC, parse_duration

BY = "budget"
EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
CALENDAR = ("hour", "day", "week", "month")


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a type has used of a budget in the period that runs now. Times are aware UTC."""

    type: str
    budget: Budget
    spent: float
    since: datetime
    until: datetime

    @property
    def left(self) -> float:
        return max(0.0, self.budget.amount - self.spent)

    @property
    def over(self) -> bool:
        return self.spent >= self.budget.amount

    def __str__(self) -> str:
        budget = self.budget
        used = f"{number(self.spent)} of {number(budget.amount)} {budget.metric} per {budget.per} used"
        return f"{self.type}: {used}, {number(self.left)} left until {self.until:%Y-%m-%d %H:%M} UTC"


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def parse_per(value: Any, field: str = "per") -> str:
    """A calendar period in UTC (hour, day, week, month), or a duration such as `"12h"`."""
    if value in CALENDAR:
        return str(value)
    try:
        seconds = parse_duration(value, field).total_seconds()
    except InvalidJob:
        seconds = 0.0
    if seconds < 1:
        raise InvalidJob(
            f'{field}: {value!r:.80} is not a period; give {", ".join(CALENDAR)} (in UTC), or a duration like "12h"'
        )
    return value if isinstance(value, str) else f"{seconds:g}s"


def parse_budgets(amounts: Mapping[str, Any], per: Any, field: str = "budget") -> tuple[Budget, ...]:
    """One budget for each metric: `{"tokens": 1_000_000}` in a period."""
    period = parse_per(per, f"{field}.per")
    if not amounts:
        raise InvalidJob(f'{field}: no metric; name what is counted, like tokens=1_000_000, per="day"')
    return tuple(Budget(metric, parse_amount(amount, f"{field}.{metric}"), period) for metric, amount in amounts.items())


def read_budgets(value: Any, field: str = "budgets") -> dict[str, tuple[Budget, ...]]:
    """Budgets by type from `{"extract": {"tokens": 1000000, "per": "day"}}`."""
    if not isinstance(value, Mapping) or not all(
        isinstance(type, str) and isinstance(said, Mapping) for type, said in value.items()
    ):
        raise InvalidJob(
            f"{field}: {value!r:.80} are no budgets; write a line for each type: extract: {{tokens: 1000000, per: day}}"
        )
    return {
        type: parse_budgets({metric: amount for metric, amount in said.items() if metric != "per"}, said.get("per", "day"), at)
        for type, said in value.items()
        for at in (f"{field}.{type}",)
    }


def parse_amount(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e18:
        raise InvalidJob(f"{field}: {value!r:.80} is not an amount; give a number above zero")
    return float(value)


def period_of(per: str, now: datetime) -> tuple[datetime, datetime]:
    """The period in which `now` lies: its first moment, and that of the next one."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return day, day + timedelta(days=1)
    if per == "hour":
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return hour, hour + timedelta(hours=1)
    if per == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    if per == "month":
        first = day.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)
    length = parse_duration(per, "per")
    since = EPOCH + (now - EPOCH) // length * length
    return since, since + length


def pause_of(spent: Spent, now: datetime) -> Pause:
    """The pause of a type whose budget is spent: it says how much that was, and ends with the period."""
    budget = spent.budget
    reason = f"the budget of {number(budget.amount)} {budget.metric} per {budget.per} is spent ({number(spent.spent)})"
    return Pause(by=BY, at=now, reason=reason, until=spent.until)


def settle(control: Control, type: str, spending: Sequence[Spent], now: datetime) -> Control:
    """Pauses a type whose budget is spent, and ends such a pause once it is not; what people have paused stays paused."""
    pauses = dict(control.paused_types)
    known = pauses.get(type)
    if known is not None and known.by != BY and known.holds(now):
        return control
    over = max((spent for spent in spending if spent.over), key=lambda spent: spent.until, default=None)
    if over is None:
        if known is None or known.by != BY:
            return control
        del pauses[type]
    elif known is not None and known.holds(now) and known.until == over.until:
        return control
    else:
        pauses[type] = pause_of(over, now)
    return msgspec.structs.replace(control, paused_types=pauses)
