"""The dashboard as people use it: what they see is what lies in the folders, and what they click happens on disk."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from .conftest import THEME, Lab, opened, run_cells

HANDLERS = """
import time
from jobqueue import constant, handler, JobContext

@handler
def scan(repo: str, parts: int = 1, ctx: JobContext = None) -> dict:
    for part in ctx.track(range(parts)):
        print("looked at", repo, "part", part)
        time.sleep(0.1)
    return {"repo": repo}

@handler(retry=constant("0s", attempts=1))
def extract(url: str) -> str:
    raise ValueError(f"cannot parse {url} <img src=x onerror=alert(1)>")
"""
OPEN = """
import os
from jobqueue import Queue, panels
queue = Queue({folder!r})
dashboard = panels.dashboard(queue)
dashboard
"""


CHANGE_THEME = """async (theme) => {
  await window.jupyterapp.commands.execute('apputils:change-theme', {theme});
  while (document.body.dataset.jpThemeName !== theme) await new Promise(requestAnimationFrame);
}"""
"""Its style sheet is loaded, and the page says so, some time after the command is through."""

MORE = """
import warnings
warnings.simplefilter("ignore")
batch = queue.with_options(batch="of Monday").enqueue_many("later", [{"n": n} for n in range(5)])
"""

CARDS = """
import logging
from jobqueue import handler, JobContext

@handler(subject="sha", pipeline_version="cards-v1")
def cards(sha: str, ctx: JobContext) -> int:
    logging.getLogger("library").debug("every detail")
    ctx.metric("cards", 8)
    return 8
"""
COVERAGE = """
import sys; sys.path.insert(0, {folder!r})
from jobqueue import analytics
from cards_of_commits import cards
panels.selector(analytics.coverage(queue, ["a1b2c3", "d4e5f6", "070809"], cards))
"""


class World:
    """A queue with three done, two failed and two pending jobs, and who works on it."""

    def __init__(self, folder: Path) -> None:
        from jobqueue import Queue

        folder.mkdir()
        (folder / "handlers.py").write_text(HANDLERS)
        self.handlers = folder / "handlers.py"
        self.path = folder / "q"
        self.queue = Queue(self.path, durability="relaxed")
        for number in range(3):
            self.queue.enqueue("scan", {"repo": f"octo/cat-{number}"})
        for number in range(2):
            self.queue.enqueue("extract", {"url": f"https://example.org/{number}"})
        self.queue.drain(str(self.handlers), progress=False)
        for number in range(2):
            self.queue.enqueue("later", {"n": number})

    def files(self, status: str) -> int:
        return len(list((self.path / status).rglob("*.json")))

    @property
    def cell(self) -> str:
        return OPEN.format(folder=str(self.path))


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path / "world")
    yield made
    for worker in made.queue.workers():
        worker.stop(wait="30s")
    made.queue.close()


def tile(page: Any, status: str, count: int) -> None:
    """Waits until a tile says so."""
    page.wait_for_function(
        "([status, count]) => document.querySelector(`.jq-tile[data-status=${status}] b`)?.innerText === count",
        arg=[status, f"{count:,}"],
        timeout=20_000,
    )


def until(check: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_day_at_the_dashboard(world: World, notebook: Any, look: Any) -> None:
    page = notebook(world.cell)
    panel = page.locator(".jq-dashboard")
    for status in ("pending", "claimed", "done", "failed"):
        tile(page, status, world.files(status))
    assert "No worker is alive" in panel.locator("[data-part=banners]").inner_text()
    look("dashboard")

    # a file that somebody drops shows up by itself
    (world.path / "pending" / "dropped.json").write_text(json.dumps({"type": "later", "payload": {}}))
    tile(page, "pending", 3)

    # retry of one: the file moves on disk, and the line says so
    panel.get_by_role("button", name="Retry", exact=True).first.click()
    tile(page, "failed", 1)
    assert (world.files("failed"), world.files("pending")) == (1, 4)
    assert "extract is queued again." in panel.locator(".jq-status").inner_text()

    # purge asks, and lets go after five seconds
    panel.get_by_role("button", name="Purge all").click()
    armed = panel.get_by_role("button", name="Purge 3 done jobs?")
    armed.wait_for(timeout=10_000)
    assert world.files("done") == 3
    panel.get_by_role("button", name="Purge all").wait_for(timeout=12_000)
    panel.get_by_role("button", name="Purge all").click()
    armed.click()
    tile(page, "done", 0)
    assert world.files("done") == 0
    panel.get_by_role("button", name="Undo").click()
    tile(page, "done", 3)
    assert world.files("done") == 3

    # another range, another chart; every job's words are only text
    panel.get_by_role("button", name="7d").click()
    page.wait_for_selector(".jq-choice button[data-value='7d'][aria-pressed=true]")
    assert panel.locator(".jq-chart svg").count() >= 3
    assert page.locator(".jq-dashboard img").count() == 0
    assert "<img src=x onerror=alert(1)>" in panel.locator("[data-part=failed]").inner_text()

    # reloaded, the page draws the same again without running anything
    page.wait_for_timeout(500)
    page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save') }")


def test_a_running_job(world: World, notebook: Any, look: Any) -> None:
    world.queue.ensure_worker(str(world.handlers))
    job = world.queue.enqueue("scan", {"repo": "octo/long", "parts": 600})
    page = notebook(world.cell)
    panel = page.locator(".jq-dashboard")
    tile(page, "claimed", 1)
    panel.locator(".jq-claimed .jq-name").first.click()
    log = panel.locator(".jq-log")
    log.wait_for(timeout=10_000)
    first = log.inner_text()
    page.wait_for_function("(before) => document.querySelector('.jq-log').innerText.length > before", arg=len(first))
    look("drawer")
    assert panel.locator(".jq-job [role=progressbar]").count() == 1
    page.keyboard.press("Escape")
    panel.locator(".jq-job").wait_for(state="detached", timeout=10_000)
    panel.locator(".jq-claimed").get_by_role("button", name="Cancel").click()
    panel.get_by_role("button", name="Stop it?").click()
    tile(page, "claimed", 0)
    until(lambda: job.finished)
    assert job.error.reason == "cancelled"


def test_a_cell_that_runs_again_and_a_reload(world: World, notebook: Any, lab: Lab, page: Any) -> None:
    count = "import ipywidgets, threading; print('LEFT', len(ipywidgets.widgets.widget._instances), threading.active_count())"
    notebook(world.cell, count, name="again.ipynb")
    tile(page, "done", 3)
    left = []
    for _ in range(20):
        run_cells(page)
        page.wait_for_timeout(50)
        texts = page.locator(".jp-OutputArea-output").all_inner_texts()
        left += [re.search(r"LEFT (\d+) (\d+)", text).groups() for text in texts if "LEFT" in text]
    assert len(set(left[1:])) == 1, left
    tile(page, "done", 3)
    assert page.locator(".jq-dashboard").count() == 1
    page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save') }")
    page.goto(f"{lab.base}/lab/tree/again.ipynb?token={lab.token}", wait_until="domcontentloaded")  # the kernel lives on
    tile(page, "done", 3)
    (world.path / "pending" / "new.json").write_text(json.dumps({"type": "later"}))
    tile(page, "pending", 3)


def test_the_other_panels(world: World, notebook: Any, look: Any) -> None:
    page = notebook(
        world.cell + MORE,
        "panels.progress(batch)",
        "panels.failures(queue)",
        "panels.workers(queue)",
        "panels.metrics(queue, '7d')",
        "panels.drawer(queue.jobs('failed')[0])",
    )
    page.wait_for_selector(".jq-drawer .jq-job", timeout=20_000)
    assert "5 pending" in page.locator(".jq-batch").inner_text()
    assert "2×" in page.locator(".jq-failures section.jq-failures").first.inner_text()
    assert "No worker is alive." in page.locator("section.jq-workers").last.inner_text()
    look("others")


def test_developers_process_again_and_see_all_of_the_log(world: World, notebook: Any, look: Any) -> None:
    handlers = world.handlers.with_name("cards_of_commits.py")
    handlers.write_text(CARDS)
    world.queue.enqueue("cards", {"sha": "a1b2c3"})
    world.queue.drain(str(handlers), progress=False)
    page = notebook(world.cell, COVERAGE.format(folder=str(handlers.parent)))
    selector = page.locator(".jq-selector")
    selector.get_by_text("2 new, 1 already processed, 0 needs re-run").wait_for(timeout=20_000)
    assert selector.get_by_label("Force Reprocess").count() == 0
    page.locator(".jq-settings summary").click()
    look("settings")
    page.locator(".jq-menu").get_by_label("Developer mode").check()
    selector.scroll_into_view_if_needed()  # what is out of sight rests
    selector.get_by_label("Force Reprocess").check()
    selector.get_by_label("Verbose log").check()
    selector.locator("li input").first.check()
    selector.get_by_text("attempt 1").wait_for(timeout=20_000)
    look("selector")
    selector.get_by_role("button", name="Process Now (1 selected)").click()
    selector.get_by_text("Processing queued.").wait_for(timeout=20_000)
    (job,) = world.queue.jobs("pending", type="cards")
    asked = json.loads((world.path / "pending" / f"{job.id}.json").read_text())
    assert (asked["log_level"], asked["force"], asked["payload"]) == ("debug", True, {"sha": "a1b2c3"})
    world.queue.ensure_worker(str(handlers))
    selector.get_by_text("8 cards generated.").wait_for(timeout=30_000)
    selector.locator(".jq-toast").get_by_role("button", name="Open").click()
    selector.locator(".jq-job").get_by_text("every detail").wait_for(timeout=20_000)
    box = selector.locator(".jq-job header").bounding_box()
    assert 0 < box["y"] < 1300, "it opens below, in sight"
    look("selector-job")
    selector.get_by_label("Developer mode").uncheck()
    selector.get_by_label("Verbose log").wait_for(state="detached", timeout=20_000)
    page.locator(".jq-menu").scroll_into_view_if_needed()
    page.wait_for_function("() => !document.querySelector('.jq-menu input').checked", timeout=20_000)


def test_a_key_pressed_in_a_panel_is_for_the_panel(world: World, notebook: Any, look: Any) -> None:
    page = notebook(world.cell, "1 + 1")
    panel, cells = page.locator(".jq-dashboard"), page.locator(".jp-Notebook .jp-Cell")
    row = page.locator(".jq-grid tr[data-id]").first
    row.wait_for(timeout=20_000)
    for place in (panel.get_by_role("button", name="Pause"), panel.locator(".jq-name").first, row):
        place.focus()
        for key in ("b", "a", "d", "d", "x", "m"):  # to JupyterLab: new cells, delete, cut, text
            page.keyboard.press(key)
        assert page.evaluate("(place) => place === document.activeElement", place.element_handle())
    assert cells.count() == 2
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-rowindex')") == "3"
    dirty = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
    assert page.evaluate(dirty)
    page.keyboard.press("Control+s")
    page.wait_for_function(f"() => !({dirty})()", timeout=20_000)
    panel.get_by_role("button", name="Pause").click()
    panel.get_by_label("Why it is paused").press_sequentially("a bad disk")
    look("paused")
    page.keyboard.press("Enter")
    panel.get_by_text(": a bad disk").wait_for(timeout=20_000)
    assert world.queue.control().paused.reason == "a bad disk"
    assert cells.count() == 2


IN_SIGHT = """(selector) => {
  const box = document.querySelector(selector)?.getBoundingClientRect();
  const page = document.querySelector('.jp-WindowedPanel-outer').getBoundingClientRect();
  return box && box.height > 0 && box.top >= page.top - 1 && box.bottom <= page.bottom + 1;
}"""

BELOW_THE_DRAWER = """() => {
  const { right, bottom } = document.querySelector('.jq-job').getBoundingClientRect();
  return document.elementFromPoint(right - 40, bottom + 60).closest('.jq-tile, .jq-section') !== null;
}"""


def test_what_is_opened_and_said_is_in_sight_wherever_the_page_stands(world: World, notebook: Any, look: Any) -> None:
    many = "queue.enqueue_many('many', [{'n': n} for n in range(300)])\ndashboard = "
    page = notebook(MORE.partition("batch")[0] + world.cell.replace("dashboard = ", many))
    page.set_viewport_size({"width": 1280, "height": 900})
    panel = page.locator(".jq-dashboard")
    panel.get_by_role("button", name="Retry", exact=True).first.click()
    page.wait_for_function(IN_SIGHT, arg=".jq-toast", timeout=20_000)
    page.locator(".jq-scroll").evaluate("(table) => table.scrollIntoView({block: 'end'})")
    page.wait_for_function(IN_SIGHT, arg=".jq-toast", timeout=20_000)
    page.locator(".jq-grid tr[data-id]").nth(3).click()
    page.wait_for_function(IN_SIGHT, arg=".jq-job", timeout=20_000)
    look("in-sight")
    page.locator(".jq-head").evaluate("(head) => head.scrollIntoView()")
    page.wait_for_function(IN_SIGHT, arg=".jq-job", timeout=20_000)
    assert page.evaluate(BELOW_THE_DRAWER), "what lies below the drawer takes no clicks"
    page.keyboard.press("Escape")
    panel.locator(".jq-job").wait_for(state="detached", timeout=20_000)
    page.set_viewport_size({"width": 1280, "height": 1400})


def test_what_ends_a_cell_is_live(world: World, notebook: Any) -> None:
    page = notebook(
        world.cell.replace("dashboard", "workers"),
        "queue",
        "queue.stats()",
        "queue.jobs('failed')[0]",
        MORE + "batch",
    )
    for panel in ("dashboard", "stats", "drawer", "progress"):
        page.locator(f".jq-{panel} .jq-view").first.wait_for(timeout=20_000)
    tile(page, "pending", 7)
    page.locator(".jq-stats").scroll_into_view_if_needed()  # what is out of sight rests
    page.locator(".jq-stats .jq-tile[data-status=pending] b", has_text=re.compile("^7$")).wait_for(timeout=20_000)
    page.locator(".jq-progress").scroll_into_view_if_needed()
    page.locator(".jq-progress .jq-batch", has_text="5 pending").wait_for(timeout=20_000)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_everybody_can_use_the_panels(world: World, notebook: Any, theme: str) -> None:
    """Names of buttons and fields, headings, roles and contrasts, as axe judges them; of JupyterLab nothing is asked."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    world.queue.pause("for the holidays")
    page = notebook(
        world.cell,
        MORE + "panels.progress(batch)",
        "panels.drawer(queue.jobs('failed')[0])",
        "from jobqueue import analytics\npanels.developer_mode(True)\n"
        "panels.selector(analytics.coverage(queue, ['a', 'b', 'c'], type='scan'))",
    )
    page.evaluate(CHANGE_THEME, theme)
    page.locator(".jq-grid tr[data-id]").first.wait_for(timeout=20_000)
    page.locator(".jq-dashboard .jq-failed .jq-name").first.click()
    page.locator(".jq-dashboard .jq-job").wait_for(timeout=20_000)
    page.get_by_role("button", name="Purge all").first.click()
    found = axe.run(page, context=".jq-panel", options={"resultTypes": ["violations"]})
    page.evaluate(CHANGE_THEME, THEME)  # it is kept, for those who come later
    said = [
        (one["id"], node["html"][:200], node["failureSummary"]) for one in found.response["violations"] for node in one["nodes"]
    ]
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_snapshot_is_a_page_for_everybody(world: World, browser: Any, tmp_path: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    target = world.queue.snapshot(tmp_path / "report.html")
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.emulate_media(color_scheme=scheme)
    page.goto(target.as_uri())
    for folded in page.locator("summary").all():
        folded.click()
    assert page.locator("[data-part=metrics] .jq-chart svg").count() >= 12
    found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    page.close()
    assert [(one["id"], node["html"][:200], node["failureSummary"]) for one in found for node in one["nodes"]] == []
    assert asked == [target.as_uri()]


def test_notebook_7_shows_the_same(world: World, lab: Lab, page: Any) -> None:
    pytest.importorskip("notebook")
    document = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
    document.cells = [nbformat.v4.new_code_cell(world.cell)]
    nbformat.write(document, lab.root / "seven.ipynb")
    page.goto(f"{lab.base}/notebooks/seven.ipynb?token={lab.token}", wait_until="domcontentloaded")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
    run_cells(page)
    tile(page, "done", 3)
    page.locator(".jq-dashboard").get_by_role("button", name="Retry", exact=True).first.click()
    tile(page, "failed", 1)
    assert world.files("failed") == 1
    page.broken[:] = [error for error in page.broken if "/static/notebook/notebook_core" not in error]  # its own troubles


TABLE = """
import warnings
warnings.simplefilter("ignore")
queue.enqueue_many("many", [{"n": n} for n in range(3000)])
panels.jobs(queue)
"""


def test_the_table_scrolls_through_thousands_with_a_few_rows_in_the_page(world: World, notebook: Any, look: Any) -> None:
    page = notebook(world.cell.replace("dashboard", "workers") + TABLE)
    rows = page.locator(".jq-grid tr[data-id]")
    rows.first.wait_for(timeout=20_000)
    page.evaluate("() => { document.querySelector('.jq-scroll').scrollTop = 26 * 2000 }")
    far = "() => Number(document.querySelector('.jq-grid tr[data-id]').getAttribute('aria-rowindex')) > 1900"
    page.wait_for_function(far, timeout=20_000)
    assert 5 < rows.count() < 60
    rows.nth(12).focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.activeElement.getAttribute('aria-selected') === 'true'", timeout=20_000)
    look("table")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.activeElement.getAttribute('aria-selected') === 'false'", timeout=20_000)
    page.locator("select[aria-label=status]").select_option("failed")
    badge = page.locator(".jq-tools .jq-badge")
    page.wait_for_function(
        "() => document.querySelector('.jq-tools .jq-badge').innerText === '2 of 3,007 jobs'", timeout=20_000
    )
    page.locator("th[data-column=run] button").click()
    page.wait_for_selector("th[data-column=run][aria-sort=descending]", timeout=20_000)
    page.locator(".jq-filters input").fill("example.org/1")
    page.wait_for_function("() => document.querySelector('.jq-tools .jq-badge').innerText.startsWith('1 of')", timeout=20_000)
    rows.first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Retry 1", exact=True).click()
    page.get_by_role("button", name="Retry 1 job?").click()
    until(lambda: world.files("failed") == 1)
    page.locator(".jq-filters input").fill("")
    page.locator("select[aria-label=status]").select_option("")
    page.wait_for_selector(".jq-grid[aria-rowcount='3008']", timeout=20_000)
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    page.locator(".jq-filters input").focus()
    world.queue.enqueue("later", {})
    page.wait_for_selector(".jq-grid[aria-rowcount='3009']", timeout=20_000)
    assert page.evaluate("() => document.activeElement.type") == "search", "an update takes the focus from who is typing"
    page.locator("th[data-column=type] button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("th[data-column=type][aria-sort=ascending]", timeout=20_000)
    assert page.evaluate("() => document.activeElement.innerText") == "Type ↑"
    assert badge.count() == 1


def test_a_foreign_request_is_caught(notebook: Any, page: Any) -> None:
    notebook("from IPython.display import HTML\nHTML('<b class=here>x</b>')")
    page.evaluate("() => fetch('http://192.0.2.1/x').catch(() => 0)")
    assert page.foreign == ["http://192.0.2.1/x"]
    page.foreign.clear()


def test_who_gets_the_notebook_by_mail_can_read_it(
    world: World, notebook: Any, lab: Lab, page: Any, look: Callable[[str], None]
) -> None:
    """JupyterLab does not trust it there, and takes out what is no plain HTML; no kernel of its own has run it."""
    notebook(world.cell, name="saved.ipynb")
    tile(page, "done", 3)
    page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save') }")
    page.evaluate("async () => { await window.jupyterapp.serviceManager.sessions.shutdownAll() }")
    saved = json.loads((lab.root / "saved.ipynb").read_text())
    saved["cells"][0]["source"] += "\n# from a friend"
    (lab.root / "mailed.ipynb").write_text(json.dumps(saved))
    opened(lab, page, "mailed.ipynb", run_all=False)
    readable = "() => /Position #1/.test(document.querySelector('.jp-OutputArea-output')?.innerText)"
    page.wait_for_function(readable, timeout=20_000)
    look("mailed")
    output = page.locator(".jp-OutputArea-output").first
    assert output.locator("td b").all_inner_texts() == ["2", "0", "3", "2", "7"]
    assert "<img src=x onerror=alert(1)>" in output.inner_text()
    assert output.locator("button").count() == 0
    assert output.locator("img[src^='data:image/svg+xml']").count() >= 3
