"""What metrics cost on a million attempts that are loaded, beside three groupbys of pandas on the same frame in the same run.

.venv/bin/python tests/benchmarks/metrics.py [--attempts 1000000] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from jobqueue import analytics
from jobqueue.analytics.causes import cause_of
from jobqueue.analytics.prometheus import counters
from jobqueue.analytics.schema import ATTEMPTS

TARGET = 1.0
"""Seconds that metrics("all", by="type") of a million attempts may take."""
OUTCOMES = ["done", "failed", "crashed", "cancelled", "snoozed", "released"]


def history(count: int) -> pd.DataFrame:
    """So many attempts in 30 days: 20 types, 8 % failures of which most are tried again, tokens in half of them."""
    random = np.random.default_rng(7)
    numbers = random.choice([1, 2, 3], count, p=[0.93, 0.05, 0.02])
    start = np.datetime64(datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(days=30), "us")
    ended = np.sort(start + (random.random(count) * 30 * 86400e6).astype("timedelta64[us]"))
    jobs = np.array([f"10-20261122T0615{number:08d}-7f3a9c2b" for number in random.integers(0, count, count)])
    run, wait = ((random.lognormal(mean, 1.5, count) * 1000).astype("timedelta64[us]") for mean in (6, 4))
    outcomes = random.choice(OUTCOMES, count, p=[0.9, 0.07, 0.01, 0.01, 0.005, 0.005])
    bad = np.isin(outcomes, ["failed", "crashed"])
    values: dict[str, Any] = {
        "job": jobs,
        "type": np.array([f"type{number}" for number in range(20)])[random.integers(0, 20, count)],
        "attempt": numbers,
        "outcome": outcomes,
        "worker": np.array([f"worker-{number}" for number in range(50)])[random.integers(0, 50, count)],
        "finished_at": pd.DatetimeIndex(ended).tz_localize("UTC"),
        "run": run,
        "wait": wait,
        "error_type": np.where(bad, "ValueError", None),
        "error": np.where(bad, np.char.add("row ", random.integers(0, 10**6, count).astype(str)), None),
        "clock_jump": np.zeros(count, dtype=bool),
    }
    frame = pd.DataFrame({name: pd.Series(values.get(name, [None] * count), dtype=kind) for name, kind in ATTEMPTS.items()})
    return frame.assign(**{"metrics.tokens": np.where(random.random(count) < 0.5, random.integers(1, 5000, count), np.nan)})


def groupbys(frame: pd.DataFrame) -> None:
    """What one would write by hand: counts by outcome, spreads and percentiles of the run time, sums."""
    by = frame.groupby("type", observed=True)
    frame.groupby(["type", "outcome"], observed=True).size()
    frame.assign(ms=frame["run"] / pd.Timedelta(milliseconds=1)).groupby("type", observed=True)["ms"].quantile(
        [0.5, 0.95, 0.99]
    )
    by.agg(avg=("run", "mean"), least=("run", "min"), most=("run", "max"), tokens=("metrics.tokens", "sum"))


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median, of wall time."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken)


def measure(count: int, repeats: int = 3) -> dict[str, Any]:
    frame = history(count)
    limit = seconds(lambda: groupbys(frame), repeats)
    calls: dict[str, Callable[[], Any]] = {
        'metrics("all", by="type").frame': lambda: analytics.metrics(frame, "all", by="type").frame,
        'metrics("all", by="type"), shown': lambda: repr(analytics.metrics(frame, "all", by="type")),
        'metrics("30d").summary': lambda: analytics.metrics(frame, "30d").summary,
        'metrics("24h").summary': lambda: analytics.metrics(frame, "24h").summary,
        "prometheus, of the journal": lambda: list(counters(frame, 100, 50)),
        "errors, messages": lambda: [cause_of(text) for text in frame["error"].dropna().unique()],
    }
    rows = [
        {"step": name, "seconds": taken, "ratio": taken / limit}
        for name, call in calls.items()
        if (taken := seconds(call, repeats))
    ]
    return {"attempts": count, "three_groupbys": limit, "rows": rows, "holds": rows[0]["seconds"] < TARGET}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.attempts)
    if given.json:
        json.dump(found, sys.stdout, indent=2)
        return
    print(f"{found['attempts']:,} attempts; three groupbys of pandas: {found['three_groupbys'] * 1000:,.0f} ms")
    for row in found["rows"]:
        print(f"  {row['step']:34} {row['seconds'] * 1000:9,.0f} ms   {row['ratio']:6.2f} x the groupbys")
    print(f"by type below {TARGET:g} s: {'yes' if found['holds'] else 'no'}")


if __name__ == "__main__":
    main()
