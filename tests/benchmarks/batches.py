"""What a frame costs beside the same payloads through `enqueue_many`, what bulks of many ids cost, and coverage.

    python tests/benchmarks/batches.py [ROWS] [--queue-root FOLDER] [--json]

Each figure stands beside its limit, taken in the same run; nothing is asserted.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from jobqueue import Queue
from jobqueue.analytics.coverage import judge, runs_of
from jobqueue.analytics.schema import ATTEMPTS
from jobqueue.analytics.values import payloads_of

VERSIONS, SECOND = ("v1", "v2", "v3"), 1.0
Figures = dict[str, dict[str, float]]


def timed(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def sample(rows: int) -> pd.DataFrame:
    """A column of each of the usual kinds, and texts for an index."""
    noise = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "n": np.arange(rows),
            "x": noise.random(rows),
            "word": [f"row {number}" for number in range(rows)],
            "kind": pd.Categorical.from_codes(noise.integers(0, 2, rows), ["small", "large"]),
            "at": pd.date_range("2026-11-22", periods=rows, freq="min", tz="UTC"),
        },
        index=pd.Index([f"key-{number}" for number in range(rows)], name="key"),
    )


def of_frames(root: Path, rows: int) -> Figures:
    """Both ways, one after the other, twice: the better of each counts."""
    frame = sample(rows)
    payloads = payloads_of(frame, None, None)
    many, framed = [], []
    for turn in range(2):
        with Queue(root / f"many-{turn}", durability="relaxed") as queue:
            many.append(timed(lambda queue=queue: queue.enqueue_many("score", payloads, batch="b1")))  # type: ignore[misc]
        with Queue(root / f"frame-{turn}", durability="relaxed") as queue:
            framed.append(timed(lambda queue=queue: queue.enqueue_frame(frame, "score", batch="b1")))  # type: ignore[misc]
    return {"enqueue_frame": beside(min(framed), min(many), rows), **of_bulks(root / "frame-0", rows)}


def of_bulks(folder: Path, rows: int) -> Figures:
    """Their limit is one cancel by ids, which does what it must to each file."""
    with Queue(folder, durability="relaxed") as queue:
        batch: Any = queue.batch("b1")
        seconds = {"batch.results": timed(batch.results), "queue.batch(name)": timed(lambda: queue.batch("b1"))}
        plan: list[Any] = []
        seconds["rehearse"] = timed(lambda: plan.append(queue.cancel(batch.ids, dry_run=True)))
        seconds["apply"] = timed(lambda: plan.append(plan[0].apply()))
        seconds["undo"] = timed(lambda: plan[1].undo())
        limit = timed(lambda: queue.store.cancel(batch.ids))
        seconds["purge"] = timed(lambda: plan.append(queue.purge(batch.ids)))
        seconds["undo of a purge"] = timed(lambda: plan[2].undo())
    return {step: beside(took, limit, rows) for step, took in seconds.items()}


def of_coverage(rows: int) -> Figures:
    """Ten attempts for each subject; the limit is a second for a million."""
    noise, count = np.random.default_rng(7), 10 * rows
    frame = pd.DataFrame(
        {
            "job": pd.Series([f"10-{number}" for number in range(count)], dtype=ATTEMPTS["job"]),
            "type": pd.Categorical.from_codes(noise.integers(0, 2, count), ["cards", "scan"]),
            "outcome": pd.Categorical.from_codes(noise.integers(0, 3, count), ["done", "failed", "snoozed"]),
            "subject": pd.Series(
                [f"{number:040x}" for number in noise.integers(0, 2 * rows, count)], dtype=ATTEMPTS["subject"]
            ),
            "version": pd.Categorical.from_codes(noise.integers(0, 3, count), list(VERSIONS)),
            "finished_at": pd.date_range("2026-01-01", periods=count, freq="s", tz="UTC"),
            "attempt": np.ones(count, dtype=ATTEMPTS["attempt"]),
            "worker": pd.Categorical.from_codes(noise.integers(0, 3, count), ["one", "two", "three"]),
            "run": pd.to_timedelta(noise.integers(0, 9000, count), "ms"),
            "code": pd.Categorical.from_codes(noise.integers(0, 3, count), ["a", "b", "c"]),
        }
    )
    subjects = [f"{number:040x}" for number in range(rows)]
    took = min(timed(lambda: judge(subjects, runs_of(frame, "cards"), "v2")) for _ in range(3))
    return {f"coverage, {count:,} attempts": beside(took, SECOND * count / 1_000_000, rows)}


def beside(seconds: float, limit: float, rows: int) -> dict[str, float]:
    return {"seconds": seconds, "per_second": rows / seconds, "limit": limit, "ratio": seconds / limit}


@click.command(help=__doc__)
@click.argument("rows", type=int, default=100_000)
@click.option("--queue-root", type=click.Path(path_type=Path), help="Where the queue folders are made.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, queue_root: Path | None, as_json: bool) -> None:
    warnings.simplefilter("ignore")
    root = Path(tempfile.mkdtemp(prefix="jobqueue-bench-", dir=queue_root))
    try:
        figures = of_frames(root, rows) | of_coverage(rows)
    finally:
        shutil.rmtree(root)
    if as_json:
        print(json.dumps(figures))
        return
    print(f"{rows:,} rows; Python {sys.version.split()[0]}; pandas {pd.__version__}")
    for step, figure in figures.items():
        print(f"{step:30} {figure['seconds']:8.2f} s  {figure['per_second']:10,.0f} /s  {figure['ratio']:6.2f} x limit")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
