"""All interleavings, kills and power cuts of a scene, breadth first, and the invariants in each state.

A process rests before a call that others can notice. What only it can notice (its temporary files, its notes) is done in
one go with the call before. When all processes have ended, or the power was cut, the queue is opened again: a rescuer,
then a worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from .model_disk import (
    CLAIMED,
    DONE,
    FAILED,
    MARKS,
    PENDING,
    TMP,
    TORN,
    TRASH,
    Body,
    Content,
    Disk,
    Work,
    cuts,
    folder_of,
    in_queue,
    new_disk,
)
from .model_programs import PROGRAMS, Call, Naive

OVER = ("done", "killed")
UNSEEN = ("note", "told", "run", "recorded", "dropped", "asked", "gave up")
OWN = ("create", "unlink")


class Process(NamedTuple):
    """`program` and its arguments (without the name of the process and the rules left out)."""

    name: str
    program: str
    arguments: tuple[Any, ...]


class Scene(NamedTuple):
    """What lies on the disk, who acts, and how many processes may be killed and how often the power may fail."""

    files: tuple[tuple[str, Content], ...]
    processes: tuple[Process, ...]
    owners: tuple[str, ...]
    kills: int = 0
    cuts: int = 0


class Ghost(NamedTuple):
    """What the invariants compare with; no process sees it."""

    told: frozenset[tuple[str, str, int, int]] = frozenset()
    runs: tuple[tuple[tuple[str, int, int], str, int], ...] = ()
    asked: frozenset[tuple[str, int]] = frozenset()
    gave_up: bool = False
    broken: str = ""


class State(NamedTuple):
    disk: Disk
    processes: tuple[Any, ...]
    locks: tuple[tuple[str, int], ...]
    ghost: Ghost
    kills: int
    cuts: int
    cut: bool = False


class Found(NamedTuple):
    """A broken invariant (or none) with the shortest way to it, and how much was looked at."""

    broken: str
    trace: list[str]
    states: int
    steps: int


@lru_cache(maxsize=400_000)
def next_call(process: Process, naive: Naive, answers: tuple[Any, ...]) -> Call:
    """Where a program stands after these answers: it is run anew, for a generator cannot be copied."""
    program = PROGRAMS[process.program](process.name, *process.arguments, naive)
    try:
        call = next(program)
        for answer in answers:
            call = program.send(answer)
    except StopIteration:
        return ("end",)
    return call


class Search:
    def __init__(self, scene: Scene, naive: Naive, wanted: str = "") -> None:
        self.naive = naive
        self.wanted = wanted
        owners = dict.fromkeys((*scene.owners, "zr", "opr", *(f"op{process.name}" for process in scene.processes)))
        again = Process("r", "reopen", (tuple(owners),))
        self.programs = (*scene.processes, again)
        disk = new_disk(scene.files, scene.cuts > 0)
        start = State(disk, ((),) * len(scene.processes) + ("",), (), Ghost(), scene.kills, scene.cuts)
        for number in range(len(scene.processes)):
            start, _ = self.run_unseen(start, number)
        self.start = start

    def run(self, limit: int = 5_000_000) -> Found:
        states = [self.start]
        came_from: list[tuple[int, tuple[Any, ...]]] = [(-1, ())]
        known = {self.start: 0}
        steps = 0
        for number, state in enumerate(states):  # the list grows while it is walked
            broken = self.judge(state)
            if broken:
                return Found(broken, self.trace(number, states, came_from), len(states), steps)
            for action, after in self.successors(state):
                steps += 1
                if after not in known:
                    known[after] = len(states)
                    states.append(after)
                    came_from.append((number, action))
            assert len(states) < limit, "too many states"
        return Found("", [], len(states), steps)

    def trace(self, number: int, states: list[State], came_from: list[tuple[int, tuple[Any, ...]]]) -> list[str]:
        lines: list[str] = []
        while number >= 0:
            before, action = came_from[number]
            lines += reversed(action)
            number = before
        return lines[::-1]

    # -- steps

    def successors(self, state: State) -> Iterator[tuple[tuple[str, ...], State]]:
        running = [n for n, answers in enumerate(state.processes) if isinstance(answers, tuple)]
        for number in running:
            after, lines = self.step(state, number)
            after, more = self.run_unseen(after, number)
            yield tuple(lines + more), self.opened_again(after)
            if state.kills:
                yield (f"{self.programs[number].name} is killed",), self.opened_again(self.kill(state, number))
        if state.cuts:
            for disk in cuts(state.disk, state.cuts > 1):
                yield (f"the power fails; left is {shown(disk)}",), self.cut(state, disk)

    def opened_again(self, state: State) -> State:
        """Once nobody is left the queue is opened again; also when the one who did that was killed."""
        others, last = state.processes[:-1], state.processes[-1]
        if last in ("", "killed") and all(answers in OVER for answers in others):
            state = state._replace(processes=(*others, ()))
            state, _ = self.run_unseen(state, len(others))
        return state

    def kill(self, state: State, number: int) -> State:
        runs = tuple((key, "died" if who == number and how == "runs" else how, who) for key, how, who in state.ghost.runs)
        return state._replace(
            processes=replaced(state.processes, number, "killed"),
            locks=tuple(row for row in state.locks if row[1] != number),
            ghost=state.ghost._replace(runs=runs),
            kills=state.kills - 1,
        )

    def cut(self, state: State, disk: Disk) -> State:
        """Runs whose outcome nobody was told of may come again; a request to stop lasts as long as the power."""
        told = {(job, before) for _, job, before, _ in state.ghost.told}
        runs = tuple(run for run in state.ghost.runs if run[1] in ("told", "final told") and told)
        ghost = state.ghost._replace(runs=runs, asked=frozenset())
        dead = (*("done" if answers == "done" else "killed" for answers in state.processes[:-1]), "")
        return self.opened_again(State(disk, dead, (), ghost, state.kills, state.cuts - 1, True))

    def run_unseen(self, state: State, number: int) -> tuple[State, list[str]]:
        lines: list[str] = []
        while self.is_unseen(state, number):
            state, more = self.step(state, number)
            lines += more
        if next_call(self.programs[number], self.naive, state.processes[number])[0] == "end":
            locks = tuple(row for row in state.locks if row[1] != number)
            state = state._replace(processes=replaced(state.processes, number, "done"), locks=locks)
        return state, lines

    def is_unseen(self, state: State, number: int) -> bool:
        call = next_call(self.programs[number], self.naive, state.processes[number])
        kind = call[0]
        if kind in UNSEEN or (kind in OWN and folder_of(call[1]) == TMP) or (kind == "write" and folder_of(call[3]) == TMP):
            return True
        if kind == "sync":
            return folder_of(call[2]) == TMP or not state.disk.tracked or is_durable(state.disk, call[1])
        return kind in ("sync folder", "sync all") and not state.disk.tracked

    def step(self, state: State, number: int) -> tuple[State, list[str]]:
        process = self.programs[number]
        call = next_call(process, self.naive, state.processes[number])
        state, answer = self.perform(state, number, call)
        answers = (*state.processes[number], answer)
        line = f"{process.name:8} {worded(call)}{'' if answer in (None, 'ok') else f' = {answer}'}"
        return state._replace(processes=replaced(state.processes, number, answers)), [line]

    def perform(self, state: State, number: int, call: Call) -> tuple[State, Any]:
        kind, *rest = call
        names = dict(state.disk.names)
        if kind == "list":
            return state, tuple(sorted(path[len(rest[0]) + 1 :] for path in names if folder_of(path) == rest[0]))
        if kind == "read":
            return state, (names[rest[0]], content(state.disk, names[rest[0]])) if rest[0] in names else None
        if kind == "exists":
            return state, rest[0] in names
        if kind == "inode":
            return state, names.get(rest[0], "")
        if kind == "find":
            return state, next(
                (path for path in sorted(names, key=order) if in_queue(path) and path.endswith("/" + rest[0])), ""
            )
        if kind in ("lock", "alive", "unlock"):
            return self.perform_lock(state, number, kind, rest[0])
        if kind in UNSEEN:
            return state._replace(ghost=self.noted(state, number, call)), None
        work = Work(state.disk)
        if kind == "create":
            rest.append(f"{self.programs[number].name}{len(state.processes[number])}-{state.kills}{state.cuts}")
        if kind == "write":
            rest = rest[:2]
        if kind == "sync":
            rest = rest[:1]
        answer = getattr(work, kind.replace(" ", "_"))(*rest)
        return state._replace(disk=work.frozen()), answer

    def perform_lock(self, state: State, number: int, kind: str, owner: str) -> tuple[State, bool | None]:
        held = dict(state.locks)
        if kind == "alive":
            return state, owner in held
        if kind == "unlock":
            held.pop(owner, None)
            return state._replace(locks=tuple(sorted(held.items()))), None
        if owner in held:
            return state, False
        return state._replace(locks=tuple(sorted({**held, owner: number}.items()))), True

    # -- what the invariants compare with

    def noted(self, state: State, number: int, call: Call) -> Ghost:
        ghost = state.ghost
        kind, *rest = call
        runs = {key: (how, who) for key, how, who in ghost.runs}
        if kind == "run":
            ghost = ghost._replace(broken=ghost.broken or self.wrong_run(state, rest[0], runs))
            runs[key_of(rest[0])] = ("runs", number)
        elif kind == "recorded":
            old, new = rest
            if new.attempts == old.attempts and not new.end:
                runs.pop(key_of(old), None)
            else:
                runs[key_of(old)] = ("final" if new.end else "again", number)
        elif kind == "dropped":
            runs.pop(key_of(rest[0]), None)
        elif kind == "told":
            ghost = self.noted_told(ghost, tuple(rest))
            runs = {k: (f"{how} told" if who == number and how == "final" else how, who) for k, (how, who) in runs.items()}
        elif kind == "gave up":
            ghost = ghost._replace(gave_up=True)
        elif kind == "asked":
            inode = dict(state.disk.names).get(rest[0])
            body = content(state.disk, inode) if inode else None
            if isinstance(body, Body) and not body.end:
                ghost = ghost._replace(asked=ghost.asked | {(body.job, body.request)})
        return ghost._replace(runs=tuple(sorted((key, how, who) for key, (how, who) in runs.items())))

    def noted_told(self, ghost: Ghost, fact: tuple[str, str, int, int]) -> Ghost:
        rivals = [one for one in ghost.told if one[1] == fact[1] and one[2] == fact[2] and one[2] >= 0]
        if rivals:
            ghost = ghost._replace(broken=f"I7: {fact[0]} and {rivals[0][0]} of {fact[1]} v{fact[2]} both won")
        return ghost._replace(told=ghost.told | {fact})

    def wrong_run(self, state: State, body: Body, runs: dict[tuple[str, int, int], tuple[str, int]]) -> str:
        if (body.job, body.request) in state.ghost.asked:
            return f"I7: {body.job} was asked to stop and is started again"
        for key, (how, who) in runs.items():
            if key[0] == body.job and how == "runs" and state.processes[who] not in OVER:
                return f"I4: two live processes execute {body.job}"
            if key[:2] == key_of(body)[:2] and how.startswith("final"):
                return f"I6: {body.job} is executed again after its outcome was recorded"
            if key == key_of(body) and how == "died":
                return f"I6: the crash of an attempt of {body.job} was not counted"
        return ""

    # -- the invariants

    def judge(self, state: State) -> str:
        """The first broken invariant of this state; with `wanted`, only that one counts."""
        broken = [state.ghost.broken, *self.broken_on(state)]
        return next((one for one in broken if one and one.startswith(self.wanted)), "")

    def broken_on(self, state: State) -> Iterator[str]:
        places: dict[str, list[tuple[str, Body]]] = {}
        for path, inode in state.disk.names:
            body = content(state.disk, inode)
            if in_queue(path) and body == TORN:
                yield f"I3: half a job is visible as {path}"
            if isinstance(body, Body) and (in_queue(path) or folder_of(path) == TRASH):
                places.setdefault(body.job, []).append((path, body))
        for job, found in places.items():
            if len(found) > 1:
                yield f"I1: {job} is in {' and '.join(path for path, _ in found)}"
        for kind, job, _, version in sorted(state.ghost.told):
            yield from broken_promise(kind, job, version, places.get(job, []), state.cut)
        if all(answers in OVER for answers in state.processes):
            yield from self.broken_at_end(state, places)

    def broken_at_end(self, state: State, places: dict[str, list[tuple[str, Body]]]) -> Iterator[str]:
        for job, found in places.items():
            for path, _ in found:
                if path.startswith((CLAIMED, PENDING)):
                    yield f"I5: {job} is left at {path}, and nobody runs it"
        yield from self.left_marks(state)

    def left_marks(self, state: State) -> Iterator[str]:
        """A mark without a job that could see it would end that job's next retry. If its maker was killed, or gave up, it is
        a request."""
        cancellers = [
            answers for answers, process in zip(state.processes, self.programs, strict=True) if process.program == "cancel"
        ]
        if "killed" not in cancellers and not state.ghost.gave_up:
            for path, _ in state.disk.names:
                if folder_of(path) == MARKS:
                    yield f"I8: the mark of {path} is left, and the next retry would be undone by it"


def broken_promise(kind: str, job: str, version: int, found: list[tuple[str, Body]], cut: bool) -> Iterator[str]:
    if not found:
        yield f"{'I2' if cut else 'I1'}: {job} was acknowledged ({kind}) and is lost"
    for path, body in found:
        if kind == "purged" and in_queue(path):
            yield f"I8: {job} was purged and is back as {path}"
        if body.version < version:
            yield f"I8: {job} was acknowledged as {kind}, and that was undone"


def key_of(body: Body) -> tuple[str, int, int]:
    return (body.job, body.request, body.attempts)


def content(disk: Disk, inode: str) -> Content:
    return next(now for one, now, _ in disk.data if one == inode)


def is_durable(disk: Disk, inode: str) -> bool:
    return all(now == kept for one, now, kept in disk.data if one == inode)


def replaced(values: tuple[Any, ...], number: int, value: Any) -> tuple[Any, ...]:
    return (*values[:number], value, *values[number + 1 :])


def order(path: str) -> tuple[int, str]:
    """In the direction in which jobs move."""
    return ([PENDING, "claimed", DONE, FAILED].index(path.partition("/")[0]) if in_queue(path) else 9, path)


def shown(disk: Disk) -> str:
    return ", ".join(f"{path} ({content(disk, inode)})" for path, inode in disk.names) or "nothing"


def worded(call: Call) -> str:
    kind, *rest = call
    if kind == "write":
        return f"write {rest[2]}: {rest[1]}"
    if kind == "sync":
        return f"sync {rest[1]}"
    return " ".join([kind, *map(str, rest)])
