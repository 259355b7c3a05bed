"""What reading the journal costs, beside the fastest reader of plain JSON lines, measured in the same run.

    python tests/benchmarks/analytics.py            1,000,000 attempts
    python tests/benchmarks/analytics.py 100000

Each reading is a process of its own, the two kinds in turns; times are the wall clock, and the CPU in brackets. Only ratios
within one run mean anything on a machine that others use too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from jobqueue.model.entry import AttemptEntry
from jobqueue.model.job import Failure
from jobqueue.store.keeping import GZIP, LEVEL

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
TYPES = ("scan", "score", "cards", "export", "fetch")
ROUNDS = 3
A_FILE = 64 << 20
FIELDS = (
    "{job:'VARCHAR',type:'VARCHAR',number:'BIGINT',outcome:'VARCHAR',worker:'VARCHAR',host:'VARCHAR',name:'VARCHAR',"
    "project:'VARCHAR',batch:'VARCHAR',subject:'VARCHAR',version:'VARCHAR',code:'VARCHAR',created_at:'TIMESTAMPTZ',"
    "due_at:'TIMESTAMPTZ',claimed_at:'TIMESTAMPTZ',finished_at:'TIMESTAMPTZ',wait_ms:'DOUBLE',run_ms:'DOUBLE',"
    "error:'STRUCT(reason VARCHAR, type VARCHAR, message VARCHAR, exit_code BIGINT)',metrics:'MAP(VARCHAR, DOUBLE)'}"
)
LIMIT = """
import duckdb, pyarrow, pandas
con = duckdb.connect()
con.execute("set TimeZone='UTC'")
con.execute("set enable_progress_bar = false")
files = sys.argv[1] + "/.jobqueue/journal/*.jsonl"
began()
how = "format='newline_delimited', columns=FIELDS, ignore_errors=true"
con.sql("select * from read_json('" + files + "', " + how + ")").to_arrow_table()
ended("read")
"""
OURS = """
from jobqueue import Queue, analytics
import duckdb, pyarrow, pandas
import jobqueue.analytics.history as history
queue = Queue(sys.argv[1], durability="relaxed")
began()
frame = analytics.attempts(queue)
ended("read")
held = history.history_of(queue.store)
if held.keeping:
    held.keeping.join()
kept = held.attempts
print(json.dumps(["bytes each", (kept.rows.nbytes() + kept.seen.nbytes()) / len(frame), 0]))
began()
for _ in range(1000):
    analytics.attempts(queue)
ended("nothing new, a thousand times")
new = open(sys.argv[2], "rb").read().split(b"\\n")[:-1]
path = sorted(__import__("pathlib").Path(sys.argv[1], ".jobqueue/journal").iterdir())[-1]
analytics.attempts(queue)
for start in range(0, 1000, 100):
    with path.open("ab") as stream:
        stream.write(b"\\n".join(new[start:start + 100]) + b"\\n")
    began()
    frame = analytics.attempts(queue)
    ended("100 new")
began()
frame.groupby("type")["run"].agg(["count", "mean", "min", "max"]); frame.groupby("type")["run"].quantile([0.5, 0.95, 0.99])
ended("grouped by type")
began()
analytics.attempts(queue, since=frame["finished_at"].iloc[-1000])
ended("the last thousand")
began()
analytics.attempts(queue, type="scan", outcome="failed")
ended("filtered")
"""
CLOCK = """
import json, sys, time

def began():
    global wall, cpu
    wall, cpu = time.perf_counter(), time.process_time()
def ended(name):
    print(json.dumps([name, time.perf_counter() - wall, time.process_time() - cpu]), flush=True)
"""


def attempt(number: int, random: Random) -> AttemptEntry:
    finished = START + timedelta(milliseconds=number * 20)
    run, wait = round(random.random() * 3000, 3), round(random.random() * 500, 3)
    claimed = finished - timedelta(milliseconds=run)
    due = claimed - timedelta(milliseconds=wait)
    failed = random.random() < 0.05
    return AttemptEntry(
        job=f"10-{due:%Y%m%dT%H%M%S%f}-{random.getrandbits(32):08x}",
        type=TYPES[number % 5],
        number=1,
        outcome="failed" if failed else "done",
        worker=f"worker-host-{number % 4}",
        host="host-1",
        project=f"p{number % 20}",
        batch=f"b{number // 10_000}",
        subject=f"octo/cat-{number % 50_000}",
        version="code:1a2b3c4d5e6f",
        code="1a2b3c4d5e6f",
        created_at=due,
        due_at=due,
        claimed_at=claimed,
        finished_at=finished,
        wait_ms=wait,
        run_ms=run,
        error=Failure(type="ValueError", message=f"row {number}") if failed else None,
        metrics={"tokens": float(number % 1000)} if number % 3 == 0 else {},
    )


def make(folder: Path, count: int) -> None:
    """A queue whose journal has so many attempts, and 1,000 more that come later beside it."""
    from jobqueue import Queue

    Queue(folder / "queue", durability="relaxed").close()
    journal, random = folder / "queue" / ".jobqueue" / "journal", Random(1)
    lines, size, file = [], 0, 0
    for number in range(count + 1000):
        lines.append(msgspec.json.encode(attempt(number, random)) + b"\n")
        size += len(lines[-1])
        if size >= A_FILE or number in (count - 1, count + 999):
            path = journal / f"20261101-{file:03}.jsonl" if number < count else folder / "new.jsonl"
            path.write_bytes(b"".join(lines))
            lines, size, file = [], 0, file + 1


def measure(code: str, folder: Path) -> dict[str, list[tuple[float, float]]]:
    command = [sys.executable, "-c", CLOCK + code.replace("FIELDS", FIELDS), str(folder / "queue"), str(folder / "new.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, list[tuple[float, float]]] = {}
    for line in done.stdout.splitlines():
        name, wall, cpu = json.loads(line)
        found.setdefault(name, []).append((wall, cpu))
    return found


def without_cache(folder: Path) -> None:
    for path in (folder / "queue" / ".jobqueue" / "cache").glob("*"):
        path.unlink()


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, count)
        limit: list[tuple[float, float]] = []
        first: dict[str, list[tuple[float, float]]] = {}
        cached: list[tuple[float, float]] = []
        journals = sorted((folder / "queue" / ".jobqueue" / "journal").iterdir())
        last, size = journals[-1], journals[-1].stat().st_size
        for _ in range(ROUNDS):
            limit += measure(LIMIT, folder)["read"]
            without_cache(folder)
            for key, values in measure(OURS, folder).items():
                first.setdefault(key, []).extend(values)
            with last.open("r+b") as stream:
                stream.truncate(size)
            without_cache(folder)
            measure(OURS, folder)  # leaves a cache
            cached += measure(OURS.split("held =")[0], folder)["read"]
            with last.open("r+b") as stream:
                stream.truncate(size)
        report(count, limit, first, cached)
        packed(folder, journals)


def packed(folder: Path, journals: list[Path]) -> None:
    """The same as it lies there after two days."""
    for path in journals:
        Path(f"{path}.gz").write_bytes(zlib.compress(path.read_bytes(), LEVEL, GZIP))
        path.unlink()
    limit, first = [], []
    for _ in range(ROUNDS):
        without_cache(folder)
        limit += measure(LIMIT.replace(".jsonl", ".jsonl.gz"), folder)["read"]
        first += measure(OURS.split("held =")[0], folder)["read"]
    (wall, cpu), (read, read_cpu) = middle(limit), middle(first)
    row(
        "first, of packed files",
        read,
        read_cpu,
        f"{read / wall:.2f} x the fastest reader of those (CPU {read_cpu / cpu:.2f} x)",
    )


def report(count: int, limit: list[Any], first: dict[str, list[Any]], cached: list[Any]) -> None:
    wall, cpu = middle(limit)
    print(f"{count:,} attempts; the fastest reader (duckdb, all fields, into Arrow): {wall:.2f} s ({cpu:.2f} s)")
    read, read_cpu = middle(first["read"])
    best = min(one[0] for one in first["read"]) / min(one[0] for one in limit)
    row("first attempts()", read, read_cpu, f"{read / wall:.2f} x the limit (CPU {read_cpu / cpu:.2f} x, best {best:.2f} x)")
    again, again_cpu = middle(cached)
    row("in the next process", again, again_cpu, f"{again / wall:.2f} x the limit, {read / again:.1f} x faster than the first")
    row("100 new attempts", *middle(first["100 new"]), "to be below 0.05 s")
    idle, idle_cpu = middle(first["nothing new, a thousand times"])
    row("nothing new", idle / 1000, idle_cpu / 1000, "")
    for name in ("grouped by type", "the last thousand", "filtered"):
        row(name, *middle(first[name]), "")
    print(f"{'memory':24} {first['bytes each'][0][0]:9.0f} bytes for each attempt, to be below 1,000")


def middle(found: list[Any]) -> tuple[float, float]:
    return statistics.median(one[0] for one in found), statistics.median(one[1] for one in found)


def row(name: str, wall: float, cpu: float, said: str) -> None:
    print(f"{name:24} {wall * 1000:9.3f} ms ({cpu * 1000:.3f}) {said}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
