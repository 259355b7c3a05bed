"""The table of a storm: what went on in it, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .storm import Storm
from .storm_audit import Evidence

HANDS = ("move", "aside", "save", "write")


def table(storm: Storm, seen: Evidence) -> str:
    said = Counter((said.verb, said.answer) for calls in seen.said.values() for said in calls)
    outcomes = Counter(line["outcome"] for lines in seen.lines.values() for line in lines)
    runs = [run for runs in seen.runs.values() for run in runs]
    rows = {
        "seconds": f"{storm.seconds:.0f}",
        "processes started": counted(storm.started),
        "killed": counted(storm.kills),
        "jobs acknowledged": counted(Counter(seen.ways[token] for token in seen.acknowledged)),
        "not acknowledged": str(len(seen.ways.keys() - seen.acknowledged.keys())),
        **{verb: answers(said, verb) for verb in ("retry", "cancel", "purge", "restore")},
        "moved and edited by hand": counted(Counter({verb: said[(verb, "changed")] for verb in HANDS})),
        "runs": str(len(runs)),
        "attempts in the journal": counted(outcomes),
        "looks at the queue in use": str(len(seen.looks)),
        "jobs audited": str(len(seen.said.keys() | seen.files.keys())),
    }
    return "\n".join(f"  {name:26} {value}" for name, value in rows.items())


def answers(said: Mapping[tuple[str, str], int], verb: str) -> str:
    return counted(Counter({answer or "killed in it": number for (one, answer), number in said.items() if one == verb}))


def counted(numbers: Counter[str]) -> str:
    return f"{sum(numbers.values())} ({', '.join(f'{number} {name}' for name, number in numbers.most_common())})"
