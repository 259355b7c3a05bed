"""What several processes were told about one job, and whether some order of events explains all of it.

Each process carries out its calls one after the other; a call takes effect between the moment in which it was made and
the one in which it answered, if it did (a process may have been killed in it). `explain` looks for an order of these
effects that the status machine allows, and that leads to what was found at the end.

A verb of a person is two effects, since its job can be seen on the way: taken out of its folder, and put where it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

FINISHED = ("done", "failed")
MOST_ATTEMPTS = 2
FROM = {"cancel": ("pending",), "retry": FINISHED, "purge": FINISHED, "delete": (*FINISHED, "pending")}
Effect = tuple[Any, ...]


class State(NamedTuple):
    """A job as it is. `by` is the process that has it, `way` the verb that is under way with it, `came` where from."""

    status: str
    attempts: int = 0
    history: tuple[str, ...] = ()
    lines: tuple[tuple[int, str], ...] = ()
    ended: str = ""
    asked: bool = False
    by: int = -1
    way: str = ""
    came: str = ""

    def told(self) -> tuple[Any, ...]:
        """What a file, its folder and the journal say."""
        return (self.status, self.attempts, self.history, self.ended, tuple(sorted(self.lines)))


class Call(NamedTuple):
    """One call about one job. `answered_at` is None where the process was killed in it: it may have taken effect."""

    process: int
    verb: str
    made_at: int
    answered_at: int | None
    answer: str = ""
    detail: str = ""
    """Of a finish, what the attempt came to; of a refusal, the status that was named."""


class Position(NamedTuple):
    """How far one process is: calls that are over, and the effects of the current one that are still to come."""

    calls: int
    rest: tuple[Effect, ...] | None = None


def explain(calls: Sequence[Call], start: State, end: tuple[Any, ...]) -> list[str] | None:
    """An order of effects that leads from `start` to what was found at the `end`; None where there is none."""
    by_process: dict[int, list[Call]] = {}
    for call in calls:
        by_process.setdefault(call.process, []).append(call)
    return Explaining(list(by_process), list(by_process.values()), end).search(start)


class Explaining:
    def __init__(self, processes: list[int], programs: list[list[Call]], end: tuple[Any, ...]) -> None:
        self.processes = processes
        self.programs = programs
        self.end = end

    def search(self, start: State) -> list[str] | None:
        first = (tuple(Position(0) for _ in self.programs), start)
        came_from: dict[Any, tuple[Any, str]] = {first: (None, "")}
        todo = [first]
        while todo:
            here = todo.pop()
            positions, state = here
            if self.is_over(positions) and state.told() == self.end:
                return path(came_from, here)
            for following, why in self.steps(positions, state):
                if following not in came_from:
                    came_from[following] = (here, why)
                    todo.append(following)
        return None

    def is_over(self, positions: Sequence[Position]) -> bool:
        return all(self.ended(number, position) for number, position in enumerate(positions))

    def ended(self, number: int, position: Position) -> bool:
        return position.calls == len(self.programs[number]) and not position.rest

    def steps(self, positions: tuple[Position, ...], state: State) -> Iterator[tuple[tuple[Any, State], str]]:
        for number, position in enumerate(positions):
            for moved, effect in self.next_of(number, position, positions):
                for after in effects(state, effect) if effect else (state,):
                    changed = (*positions[:number], moved, *positions[number + 1 :])
                    yield (changed, after), f"{self.processes[number]}: {effect}" if effect else ""
        for after in self.by_itself(state, positions):
            yield (positions, after), f"by itself: {after}"

    def next_of(self, number: int, position: Position, all: Sequence[Position]) -> Iterator[tuple[Position, Effect]]:
        """The next effect of a process; an empty one where its call is over without any, or without the rest of them."""
        program = self.programs[number]
        if position.rest:
            yield forward(position.calls, position.rest[1:]), position.rest[0]
            if program[position.calls].answered_at is None:
                yield Position(position.calls + 1), ()
        elif position.calls < len(program) and self.may_begin(program[position.calls], number, all):
            call = program[position.calls]
            for way in ways(call):
                if way:
                    yield forward(position.calls, way[1:]), way[0]
                else:
                    yield Position(position.calls + 1), ()

    def may_begin(self, call: Call, number: int, positions: Sequence[Position]) -> bool:
        """Nothing that had been answered before this call was made may take effect after it."""
        for other, position in enumerate(positions):
            if other != number and not self.ended(other, position):
                answered_at = self.programs[other][position.calls].answered_at
                if answered_at is not None and answered_at < call.made_at:
                    return False
        return True

    def by_itself(self, state: State, positions: Sequence[Position]) -> Iterator[State]:
        """What others do about the jobs of the dead, and about a cancel that came too late for the attempt it meant."""
        if state.status == "pending" and state.asked:
            yield end(state, "cancelled")
        if state.by not in self.processes:
            return
        number = self.processes.index(state.by)
        if not self.ended(number, positions[number]):
            return
        last = self.programs[number][-1]
        unfinished = last.verb if last.answered_at is None else ""
        if state.status == "held":
            yield state._replace(status=state.came, by=-1, way="", came="")
            if unfinished == state.way and state.way in ("cancel", "retry"):
                yield from effects(state, ("publish", state.by))
        elif state.status == "claimed":
            if unfinished == "finish":
                yield from recorded(state, last.detail)
            if state.asked:
                number = state.attempts + 1
                yield end(state._replace(attempts=number, lines=(*state.lines, (number, "cancelled"))), "cancelled")
            yield from attempted(state, "crashed")


def forward(calls: int, rest: tuple[Effect, ...]) -> Position:
    return Position(calls, rest) if rest else Position(calls + 1)


def path(came_from: dict[Any, tuple[Any, str]], here: Any) -> list[str]:
    found = []
    while here is not None:
        here, why = came_from[here]
        found.append(why)
    return [why for why in reversed(found) if why]


def ways(call: Call) -> Iterable[tuple[Effect, ...]]:
    """What a call may have done, given what it answered: each way is the effects that it had, in order."""
    by_verb = call.answer if call.answered_at is not None else "killed"
    operation: tuple[Effect, ...] = (("seize", call.process, call.verb), ("publish", call.process))
    if by_verb == "killed":
        return killed_ways(call, operation)
    if by_verb in ("refused", "status"):
        return ((("status", call.detail),),) if call.detail else ((),)
    if by_verb == "missing":
        return ((("not in the trash" if call.verb == "restore" else "not there",),),)
    if by_verb == "cancelling":
        return ((("mark",),),)
    if call.verb == "cancel":
        return (operation, (("mark a running one",), ("cancelled",)))
    if call.verb in FROM:
        return (operation,)
    return ((SINGLE[call.verb](call),),)


def killed_ways(call: Call, operation: tuple[Effect, ...]) -> Iterable[tuple[Effect, ...]]:
    if call.verb == "claim":  # it may have died before it could look whether the job was asked to stop
        return ((), (("claim", call.process),), (("claim blindly", call.process),))
    if call.verb in ("finish", "put", "restore"):
        return ((), (SINGLE[call.verb](call),))
    if call.verb == "cancel":
        return ((), operation, (("mark",),))
    return ((), operation) if call.verb in FROM else ((),)


SINGLE: dict[str, Any] = {
    "claim": lambda call: ("claim", call.process),
    "finish": lambda call: ("finish", call.process, call.detail) if call.answer != "lost" else ("lost", call.process),
    "put": lambda call: ("exists",) if call.answer == "exists" else ("appear",),
    "restore": lambda call: ("restore",),
}


# -- the status machine


def effects(state: State, effect: Effect) -> Iterable[State]:
    """The states that an effect can lead to; none where it cannot happen now."""
    kind, *arguments = effect
    if kind == "finish":
        return finished(state, *arguments)
    after = MACHINE[kind](state, *arguments)
    return () if after is None else (after,)


def seize(state: State, process: int, verb: str) -> State | None:
    if state.status not in FROM[verb]:
        return None
    return state._replace(status="held", by=process, way=verb, came=state.status)


def publish(state: State, process: int) -> State | None:
    if state.status != "held" or state.by != process:
        return None
    free = state._replace(by=-1, way="", came="")
    if state.way == "cancel":
        return end(free, "cancelled")
    if state.way == "retry":
        return free._replace(status="pending", attempts=0, history=(*state.history, state.ended), ended="")
    return free._replace(status="trash", asked=False)


def claim(state: State, process: int) -> State | None:
    return state._replace(status="claimed", by=process) if state.status == "pending" and not state.asked else None


def claim_blindly(state: State, process: int) -> State | None:
    return state._replace(status="claimed", by=process) if state.status == "pending" else None


def restore(state: State) -> State | None:
    if state.status != "trash":
        return None
    return state._replace(status={"": "pending", "done": "done"}.get(state.ended, "failed"))


def mark(state: State) -> State | None:
    """A pending one, too: a claimer that had it in its hands for a moment sees the mark, and ends it without handing it out."""
    return state._replace(asked=True) if state.status in ("claimed", "held", "pending") else None


def mark_running(state: State) -> State | None:
    return mark(state) if state.status == "claimed" else None


def seen(state: State, status: str) -> State | None:
    """A job in somebody's hands looks claimed; so does, for a moment, one that a claimer puts back for a cancel."""
    shown = "claimed" if state.status == "held" else state.status
    put_back = state.status == "pending" and state.asked
    return state if status == shown or (put_back and status == "claimed") else None


def only(condition: Any) -> Any:
    return lambda state, *arguments: state if condition(state, *arguments) else None


MACHINE: dict[str, Any] = {
    "appear": lambda state: state._replace(status="pending") if state.status == "absent" else None,
    "exists": only(lambda state: state.status not in ("absent", "trash")),
    "claim": claim,
    "claim blindly": claim_blindly,
    "lost": only(lambda state, process: (state.status, state.by) != ("claimed", process)),
    "seize": seize,
    "publish": publish,
    "restore": restore,
    "mark": mark,
    "mark a running one": mark_running,
    "status": seen,
    "cancelled": only(lambda state: state.status == "failed" and state.ended == "cancelled"),
    "not there": only(lambda state: state.status in ("absent", "trash")),
    "not in the trash": only(lambda state: state.status != "trash"),
}


def end(state: State, outcome: str) -> State:
    status = "done" if outcome == "done" else "failed"
    return state._replace(status=status, ended=outcome, asked=False, by=-1, way="", came="")


def finished(state: State, process: int, outcome: str) -> Iterator[State]:
    """An attempt of the process that has the job. A cancel that was asked for meanwhile may have been seen, or not yet."""
    if (state.status, state.by) == ("claimed", process):
        for after in attempted(state, outcome):
            yield after
            if after.status == "pending" and state.asked:
                yield end(after, "cancelled")


def recorded(state: State, outcome: str) -> Iterator[State]:
    """What a process had written of an attempt before it was killed. Of one that was given back nothing may be left."""
    for after in finished(state, state.by, outcome):
        yield after
        if outcome in ("snoozed", "released"):
            yield after._replace(lines=state.lines)


def attempted(state: State, outcome: str) -> Iterator[State]:
    number = state.attempts + 1
    told = state._replace(lines=(*state.lines, (number, "failed" if outcome == "final" else outcome)), by=-1)
    if outcome in ("snoozed", "released"):
        yield told._replace(status="pending")
    elif outcome == "done":
        yield end(told._replace(attempts=number), "done")
    elif outcome == "final" or number >= MOST_ATTEMPTS:
        yield end(told._replace(attempts=number), "failed")
    else:
        yield told._replace(status="pending", attempts=number, history=(*state.history, outcome))
