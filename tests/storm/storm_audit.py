"""The audit: every acknowledged job accounted for, from what everybody said, the handlers' log, the folders and the journal.

Each check adds one line for what it finds wrong; a storm went well when there is none.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .storm_log import AT_A_TIME, read_log

FOLDERS = ("pending", "claimed", "done", "failed")
OPENS = ("retry", "move", "save")
"""What makes a job run again. A save may bring back what an editor has read before an attempt failed."""
BY_PERSON = ("retry", "cancel", "purge", "restore", "move", "aside", "save", "write")
NEVER = float("inf")


@dataclass
class Said:
    """One call about one job: when it was made and answered (never, where its process was killed in it)."""

    verb: str
    made: float
    over: float = NEVER
    answer: str = ""

    @property
    def may_have_changed(self) -> bool:
        return self.answer in ("", "changed", "created")


@dataclass
class Ran:
    """One run of a handler: when it began and was last heard of, and how it said that it ended."""

    token: str
    attempt: int
    type: str
    key: str
    pid: int
    start: float
    start_time: float
    last: float
    last_time: float
    end: str = ""


@dataclass
class Lies:
    """Where a job's file lies. `record` is None where it cannot be read."""

    folder: str
    name: str
    record: dict[str, Any] | None


@dataclass
class Evidence:
    """All that is known of a storm, by the token of each job."""

    queue_dir: Path
    killed: set[int]
    """Processes that did not end by themselves, those included that were `told_to_stop`."""
    told_to_stop: set[int]
    said: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    ways: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    runs: dict[str, list[Ran]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, list[Lies]] = field(default_factory=lambda: defaultdict(list))
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    looks: list[dict[str, Any]] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    """Runs that were given back just before their worker was killed: the one thing that the journal may lack."""

    def calls(self, token: str, *verbs: str) -> list[Said]:
        return [one for one in self.said.get(token, ()) if one.verb in verbs]


# -- gathering


def gather(folder: Path, queue_dir: Path, killed: set[int], told_to_stop: set[int]) -> Evidence:
    seen = Evidence(queue_dir, killed, told_to_stop)
    read_what_was_said(seen, folder / "log")
    read_runs(seen, folder / "runs")
    read_folders(seen)
    read_journal(seen)
    return seen


def read_what_was_said(seen: Evidence, path: Path) -> None:
    open_calls: dict[tuple[int, int], dict[str, Said]] = {}
    for record in read_log(path):
        if record["what"] == "intent":
            made = {token: Said(record["verb"], record["at"]) for token in record["tokens"]}
            open_calls[(record["serial"], record["call"])] = made
            for token, said in made.items():
                seen.said[token].append(said)
                if said.verb == "put":
                    seen.ways[token] = record["way"]
        elif record["what"] == "told":
            for token, answer in record["answers"].items():
                said = open_calls[(record["serial"], record["call"])][token]
                said.over, said.answer = record["over"], answer
            seen.acknowledged |= record.get("ids", {})
        elif record["what"] == "checked":
            seen.looks.append(record)


def read_runs(seen: Evidence, path: Path) -> None:
    runs: dict[str, Ran] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        what, at, time, token, number, attempt, type, key = line.split(" ", 7)
        if what == "start":
            pid = int(number.partition("-")[0])
            runs[number] = Ran(token, int(attempt), type, key, pid, int(at), float(time), int(at), float(time))
            seen.runs[token].append(runs[number])
            continue
        run = runs[number]
        run.last, run.last_time = int(at), float(time)
        run.end = what if what != "beat" else run.end


def read_folders(seen: Evidence) -> None:
    roots = {**{name: seen.queue_dir / name for name in FOLDERS}, "trash": seen.queue_dir / ".jobqueue" / "trash"}
    for status, root in roots.items():
        for folder, _, names in os.walk(root):
            for name in names:
                if name.endswith(".json"):
                    record = read_record(Path(folder) / name)
                    token = name.removesuffix(".json").removeprefix("drop-") if record is None else record["payload"]["token"]
                    seen.files[token].append(Lies(status, name, record))


def read_record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
        return record if isinstance(record["payload"]["token"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def read_journal(seen: Evidence) -> None:
    tokens = {lies.name.removesuffix(".json"): token for token, files in seen.files.items() for lies in files}
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for file in sorted((seen.queue_dir / ".jobqueue" / "journal").glob("*.jsonl")):
        for line in map(json.loads, filter(bytes.strip, file.read_bytes().splitlines())):
            if "what" in line:  # something that was done, not an attempt
                continue
            lines[(line["job"], line["number"], line["outcome"], line.get("claimed_at"))] = line
    for line in sorted(lines.values(), key=lambda line: line["finished_at"]):
        seen.lines[tokens.get(line["job"], line["job"])].append(line)


# -- judging


def audit(seen: Evidence) -> list[str]:
    """What is wrong, one line for each thing."""
    wrong: list[str] = []
    for token in sorted(seen.said.keys() | seen.files.keys()):
        for check in (places, outcome, trash, cancels, accounts):
            wrong += [f"{token}: {found}" for found in check(seen, token)]
    wrong += overlaps(seen)
    wrong += leftovers(seen)
    if len(seen.untold) > len(seen.killed):
        wrong.append(
            f"{len(seen.untold)} runs that were given back stand nowhere, and {len(seen.killed)} processes were killed"
        )
    wrong += [f"a look at the queue in use found: {found}" for look in seen.looks for found in look["found"]]
    return wrong


def places(seen: Evidence, token: str) -> Iterator[str]:
    """An acknowledged job lies in one place and whole; one that nobody was told of lies in one at most."""
    found = seen.files.get(token, [])
    if token not in seen.ways:
        yield f"nobody made it, and it lies in {[lies.folder for lies in found]}"
    elif token in seen.acknowledged and not found:
        yield "lost"
    elif len(found) > 1:
        yield f"lies in {[f'{lies.folder}/{lies.name}' for lies in found]}"
    for lies in found:
        if lies.folder in ("pending", "claimed"):
            yield f"is left in {lies.folder}"
        whole = lies.record is not None and lies.record["payload"].get("pad") == token * 20
        if not whole and (token in seen.acknowledged or seen.ways.get(token) not in ("cp", "slow cp")):
            yield f"is torn, in {lies.folder}"


def outcome(seen: Evidence, token: str) -> Iterator[str]:
    """What a finished job carries is what its handler has come to."""
    for lies in seen.files.get(token, []):
        record = lies.record
        if record is None or lies.folder not in ("done", "failed"):
            continue
        error = record.get("error")
        if lies.folder == "done":
            if error is not None or record.get("result") != {"token": token}:
                yield f"is done with {record.get('result')}, {error}"
            if not any(run.end == "done" for run in seen.runs.get(token, ())):
                yield "is done, and no run of it ended well"
        elif error is None:
            yield "failed without an error"
        elif error.get("reason") == "cancelled":
            if not any(said.may_have_changed or said.answer == "cancelling" for said in seen.calls(token, "cancel")):
                yield "was cancelled, and nobody asked for that"
        elif record["type"] != "fails":
            yield f"failed: {error}"


def trash(seen: Evidence, token: str) -> Iterator[str]:
    """What was purged stays away until it is restored; what was not purged is not in the trash."""
    purges = [said for said in seen.calls(token, "purge") if said.may_have_changed]
    restores = [said for said in seen.calls(token, "restore") if said.may_have_changed]
    folders = [lies.folder for lies in seen.files.get(token, [])]
    if "trash" in folders:
        if not any(all(not back.answer or back.made <= gone.over for back in restores) for gone in purges):
            yield "lies in the trash, and was not purged or was restored"
    elif folders:
        for gone in purges:
            if gone.answer and not any(back.over >= gone.made for back in restores):
                yield f"was purged and lies in {folders}"
    for gone in purges:
        yield from started_after(seen, token, gone, restores, 0, "purged")


def cancels(seen: Evidence, token: str) -> Iterator[str]:
    """A cancelled job does not start again by itself; one that was asked to stop starts once at most, if it was claimed."""
    again = [said for said in seen.calls(token, *OPENS) if said.may_have_changed]
    for said in seen.calls(token, "cancel"):
        if said.answer in ("changed", "cancelling"):
            yield from started_after(seen, token, said, again, said.answer == "cancelling", said.answer)


def started_after(seen: Evidence, token: str, ended: Said, again: list[Said], allowed: int, word: str) -> Iterator[str]:
    if not ended.answer:
        return
    reopened = min((said.made for said in again if said.over >= ended.made), default=NEVER)
    starts = [run for run in seen.runs.get(token, ()) if ended.over < run.start < reopened]
    if len(starts) > allowed:
        yield f"started {len(starts)} times after it was {word}"


def accounts(seen: Evidence, token: str) -> Iterator[str]:
    """Each run is one attempt in the journal, and each attempt that came to something was a run."""
    lines = list(seen.lines.get(token, ()))
    ended = [instant(line["finished_at"]) for line in lines]
    used: Counter[int] = Counter()
    for run in sorted(seen.runs.get(token, ()), key=lambda run: run.start):
        number = next((n for n, time in enumerate(ended) if time >= run.last_time and not used[n]), None)
        if number is None or lines[number]["number"] != run.attempt or not fits(run, lines[number]["outcome"]):
            if run.end == "snoozed":
                seen.untold.append(token)
            else:
                yield f"attempt {run.attempt} ran ({run.end or 'killed'}) and stands in no line: {shown(lines)}"
            continue
        used[number] += 1
    for number, line in enumerate(lines):
        if line["outcome"] == "done" and not used[number]:
            yield f"stands as done in the journal, and no run belongs to it: {shown(lines)}"
        if line["outcome"] == "released" and (worker := pid_of(line["worker"])) in seen.killed - seen.told_to_stop:
            yield f"attempt {line['number']} was given back, and its worker {worker} died without a warning"
    rounds = 1 + sum(said.may_have_changed for said in seen.calls(token, *OPENS))
    dones = sum(line["outcome"] == "done" for line in lines)
    if dones > rounds:
        yield f"was done {dones} times, and asked for {rounds} times"
    if token in seen.acknowledged and lines and not seen.runs.get(token) and any(line["outcome"] == "done" for line in lines):
        yield "never ran"


def fits(run: Ran, outcome: str) -> bool:
    if run.end in ("done", "failed", "snoozed"):
        return outcome in (run.end, "crashed", "cancelled", "released")
    return outcome not in ("done", "snoozed")


def pid_of(owner: str) -> int:
    return int(owner.split("-")[1])


def instant(text: str) -> float:
    """A little late, since files have whole microseconds."""
    return datetime.fromisoformat(text).timestamp() + 1e-5


def shown(lines: list[dict[str, Any]]) -> str:
    return ", ".join(f"{line['number']} {line['outcome']}" for line in lines) or "nothing"


def overlaps(seen: Evidence) -> Iterator[str]:
    """No job, and no concurrency key, runs twice at a time; of a limited type no more than may."""
    for token, runs in seen.runs.items():
        if at_once(runs) > 1:
            yield f"{token}: ran twice at the same time"
    together: dict[str, list[Ran]] = defaultdict(list)
    for run in (run for runs in seen.runs.values() for run in runs):
        if run.key != "-":
            together[run.key].append(run)
        if run.type == "limited":
            together["limited"].append(run)
    for name, runs in together.items():
        if (most := at_once(runs)) > (AT_A_TIME if name == "limited" else 1):
            yield f"{name}: {most} jobs ran at the same time"


def at_once(runs: list[Ran]) -> int:
    """How many are known to have run at the same time: each from its start until it was last heard of."""
    changes = sorted([(run.start, 1) for run in runs] + [(run.last, -1) for run in runs if run.last > run.start])
    changes += [(run.start, -1) for run in runs if run.last == run.start]
    most = now = 0
    for _, change in sorted(changes, key=lambda one: (one[0], -one[1])):
        now += change
        most = max(most, now)
    return most


def leftovers(seen: Evidence) -> Iterator[str]:
    """Owners, claim folders, locks and temporary files: only those who were killed leave any."""
    hidden = seen.queue_dir / ".jobqueue"
    for name in os.listdir(seen.queue_dir / "claimed"):
        yield f"claimed/{name} is left over"
    pids = seen.killed | {run.pid for runs in seen.runs.values() for run in runs}
    for folder in ("locks", "tmp", "workers"):
        for name in os.listdir(hidden / folder):
            parts = [int(part) for part in name.replace(".", "-").split("-") if part.isdigit()]
            if name not in ("maintenance", "control", "schedules", "starting", "retention") and not pids & set(parts):
                yield f"{folder}/{name} is left over by somebody who was not killed"
