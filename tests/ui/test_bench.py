"""What a person waits for in a real page: `make bench-panels` prints it. The limit of each figure is taken in the same page."""

from __future__ import annotations

import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue

JOBS = int(os.environ.get("BENCH_JOBS", 100_000))
CHANGES = 1000
"""A second, as if workers ran elsewhere."""

OPEN = """
from jobqueue import Queue, panels
queue = Queue({folder!r}, durability="relaxed")
panels.dashboard(queue)
"""
PLAIN = "from IPython.display import HTML\nHTML('<b class=\"plain\">x</b>')"

UNTIL = """async ([act, selector, words]) => {
  const began = performance.now();
  const done = act();
  while (true) {
    const found = document.querySelector(selector);
    if (found && (!words || found.innerText.includes(words))) break;
    if (performance.now() - began > 60000) throw new Error(`waited in vain for ${selector} ${words}`);
    await new Promise(requestAnimationFrame);
  }
  return performance.now() - began;
}"""
"""Milliseconds from an act until a frame that shows what it leads to."""

FRAMES = """async (seconds) => {
  const gaps = [], end = performance.now() + 1000 * seconds;
  let last = performance.now();
  while (last < end) {
    await new Promise(requestAnimationFrame);
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  return gaps;
}"""


def until(page: Any, act: str, selector: str, words: str = "") -> float:
    found: float = page.evaluate(f"([selector, words]) => ({UNTIL})([() => {{ {act} }}, selector, words])", [selector, words])
    return found


class Moves(threading.Thread):
    """A thousand jobs end in each second."""

    def __init__(self, folder: Path, ids: list[str]) -> None:
        super().__init__(daemon=True)
        self.folder, self.ids, self.stop = folder, ids, threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        for number, id in enumerate(self.ids):
            if self.stop.is_set():
                return
            os.rename(self.folder / "pending" / f"{id}.json", self.folder / "done" / f"{id}.json")
            time.sleep(max(0.0, began + number / CHANGES - time.monotonic()))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_a_person_waits_for(tmp_path: Path, notebook: Any, page: Any) -> None:
    folder = tmp_path / "q"
    with Queue(folder, durability="relaxed") as queue:
        ids = queue.enqueue_many("scan", [{"number": number} for number in range(JOBS)]).ids
        for id in ids[: JOBS // 2]:
            os.rename(folder / "pending" / f"{id}.json", folder / "done" / f"{id}.json")
        notebook(PLAIN, "queue = None")
        page.wait_for_selector(".plain")
        run_all = "window.jupyterapp.commands.execute('notebook:run-all-cells')"
        clear = "async () => { await window.jupyterapp.commands.execute('editmenu:clear-all') }"
        page.evaluate(clear)
        limit = until(page, run_all, ".plain")
        cell = OPEN.format(folder=str(folder))
        page.evaluate(
            "(source) => { window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setSource(source) }", cell
        )
        page.evaluate(clear)
        first = until(page, run_all, ".jq-tile[data-status=done] b")
        until(page, "", ".jq-grid tr[data-id]")
        page.evaluate(clear)
        again = until(page, run_all, ".jq-grid tr[data-id]")
        moves = Moves(folder, ids[JOBS // 2 :])
        moves.start()
        page.locator(".jq-grid").first.scroll_into_view_if_needed()
        gaps = page.evaluate(FRAMES, 10)
        far = "[...document.querySelectorAll('.jq-scroll')].pop()"
        scrolled = []
        for place in (0.5, 0.9, 0.2, 0.7, 0.4):
            target = int(JOBS * place)
            page.evaluate(f"() => {{ window.jqTarget = {target} }}")
            act = f"const box = {far}; box.scrollTop = box.scrollHeight * {place}"
            scrolled.append(until(page, act, f".jq-grid tr[aria-rowindex^='{str(target)[:2]}'][data-id]"))
        moves.stop.set()
        moves.join()
    assert page.locator(".jq-dashboard").count() == 1
    gaps.sort()
    usual, most = statistics.median(gaps), gaps[int(0.99 * len(gaps))]
    jump = f"{statistics.median(scrolled):8.0f} ms, {max(scrolled):.0f} ms at most"
    figures = {
        "a cell that shows one word (the limit)": f"{limit:8.0f} ms",
        f"first paint of a dashboard on {JOBS:,} jobs": f"{first:8.0f} ms         {first / limit:5.1f} x",
        "the cell again, until its table has rows": f"{again:8.0f} ms         {again / limit:5.1f} x",
        f"frames, {CHANGES:,} jobs changing a second": f"{usual:8.1f} ms, 99 % in {most:.0f}, the longest {gaps[-1]:.0f} ms",
        "a jump in the table, until the rows are there": jump,
    }
    print()
    for name, value in figures.items():
        print(f"{name:52} {value}")
