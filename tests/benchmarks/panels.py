"""What a dashboard costs its kernel and the wire, with 100,000 jobs of which 1,000 change each second.

    python tests/benchmarks/panels.py            100,000 jobs
    python tests/benchmarks/panels.py 10000
    python tests/benchmarks/panels.py 100000 1000000    also opens on so many done jobs

CPU of the kernel for one refresh (two a second, 500 changes each), the bytes that it sends, and the first look. The limit is
measured in the same run: to list the four folders once, which is what a dashboard without file events would have to do. For
what is sent it is the JSON of the rows in sight.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobqueue import Queue, panels
from jobqueue.panels import refresh
from jobqueue.panels.dashboard import Dashboard
from jobqueue.panels.view_widget import trait_of

ROUNDS = 20
CHANGES = 500
COUNT = 100_000


def cpu(act: Callable[[], None]) -> float:
    began = time.process_time()
    act()
    return (time.process_time() - began) * 1000


def moves(folder: Path, ids: list[str]) -> None:
    """Each of them ends, as if workers ran elsewhere."""
    for id in ids:
        os.rename(folder / "pending" / f"{id}.json", folder / "done" / f"{id}.json")


def sent(panel: Dashboard, before: dict[str, bytes]) -> int:
    return sum(len(value) for name, value in state(panel).items() if before[name] != value)


def state(panel: Dashboard) -> dict[str, bytes]:
    parts = {part: getattr(panel.view, trait_of(part)) for part in panel.parts}
    return {**parts, "table": panel.rows.widget.packed}


def asked(panel: Dashboard, do: str, **words: Any) -> None:
    """What a click does, on this thread."""
    panel.answer(lambda: panel.carry_out(do, words))


def timed(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def list_all(folder: Path) -> None:
    for name in ("pending", "claimed", "done", "failed"):
        os.listdir(folder / name)


def open_on_many_done(count: int) -> dict[str, str]:
    """The names of one job's file: what a dashboard reads of a million it reads of their names."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "q"
        queue = Queue(folder, durability="relaxed")
        id = queue.enqueue("scan", {}).id
        moves(folder, [id])
        one, links = folder / "done" / f"{id}.json", 30_000
        for number in range(count):
            if number % links == 0:  # a file system has room for so many names of one file
                one = folder / "done" / f"10-20260101T{number:012}-{number:08x}.json"
                one.write_bytes((folder / "done" / f"{id}.json").read_bytes())
            else:
                os.link(one, folder / "done" / f"10-20260101T{number:012}-{number:08x}.json")
        limit = statistics.median(timed(lambda: list_all(folder)) for _ in range(3))
        began = time.perf_counter()
        panel = panels.dashboard(queue)
        first = (time.perf_counter() - began) * 1000
        table = timed(panel.refresh)
        panel.close()
        queue.close()
    return {
        f"list the folders of {count:,} done jobs (the limit)": f"{limit:8.1f} ms",
        "open a dashboard on them": f"{first:8.1f} ms         {first / limit:5.2f} x",
        "then its table": f"{table:8.1f} ms         {table / limit:5.2f} x",
    }


def main(count: int, done: int = 0) -> None:
    warnings.simplefilter("ignore")
    refresh.REFRESHER.add = lambda panel: None  # type: ignore[method-assign]  # here each refresh is asked for
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "q"
        queue = Queue(folder, durability="relaxed")
        ids = queue.enqueue_many("scan", [{"number": number} for number in range(count)]).ids
        moves(folder, ids[: count // 2])
        left = ids[count // 2 :]
        began = time.perf_counter()
        panel = panels.dashboard(queue)
        first = (time.perf_counter() - began) * 1000
        size = sum(map(len, state(panel).values()))
        panel.refresh()
        slices = []
        while panel.listing.known.reading is not None:
            slices.append(cpu(panel.refresh))
        times, sizes, idle = [], [], []
        for number in range(ROUNDS):
            moves(folder, left[number * CHANGES : (number + 1) * CHANGES])
            before = state(panel)
            times.append(cpu(panel.refresh))
            sizes.append(sent(panel, before))
            idle.append(cpu(panel.refresh))
        table, rows = len(panel.rows.widget.packed), len(json.dumps(panel.rows.widget.page))
        first_filter = timed(lambda: asked(panel, "filter", what="type", value="scan"))
        sort = timed(lambda: asked(panel, "sort", column="type"))
        search = timed(lambda: asked(panel, "find", value="nothing like it"))
        asked(panel, "find", value="")
        followed = []
        for number in range(ROUNDS, 2 * ROUNDS):
            moves(folder, left[number * CHANGES : (number + 1) * CHANGES])
            followed.append(cpu(panel.refresh))
        limit = statistics.median(cpu(lambda: list_all(folder)) for _ in range(5))
        panel.close()
        queue.close()
    busy, rest = statistics.median(times), statistics.median(idle)
    again = statistics.median(followed)
    figures = {
        f"list the folders of {count:,} jobs (the limit)": f"{limit:8.1f} ms of CPU",
        f"a refresh after {CHANGES} changes": f"{busy:8.1f} ms of CPU  {busy / limit:5.2f} x",
        "the slowest of them": f"{max(times):8.1f} ms of CPU",
        "a refresh after none": f"{rest:8.1f} ms of CPU  {rest / limit:5.2f} x",
        "sent by a refresh": f"{statistics.median(sizes) / 1000:8.1f} kB, {max(sizes) / 1000:.1f} kB at most",
        "of that the table": f"{table / 1000:8.1f} kB            {table / rows:5.2f} x of its JSON",
        "each job read once, before that": f"{sum(slices):8.1f} ms of CPU, in {len(slices)} refreshes",
        "filter, sort, find": f"{first_filter:8.1f} ms, {sort:.1f} ms, {search:.1f} ms",
        f"a refresh after {CHANGES} changes, filtered": f"{again:8.1f} ms of CPU  {again / limit:5.2f} x",
        "first look": f"{first:8.1f} ms, {size / 1000:.1f} kB",
    }
    if done:
        figures |= open_on_many_done(done)
    for name, value in figures.items():
        print(f"{name:52} {value}")


if __name__ == "__main__":
    main(*(map(int, sys.argv[1:]) if len(sys.argv) > 1 else (COUNT,)))
