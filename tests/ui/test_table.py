"""The table in a page without a kernel: however many jobs there are, each of them can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobqueue.panels.view_widget import text_of

HEIGHT = 26
PAGE = """<style>{style}</style><div class="jq-panel"><div id="here" class="jobqueue"></div></div>"""
SHOW = """async ([source, total]) => {
  const { default: table } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const columns = ["status", "name"];
  let packed, heard;
  const pack = async (start, count) => {
    start = Math.max(0, Math.min(start, total));
    const row = (_, n) => ({ id: `j${start + n}`, status: "done", name: `n${start + n}` });
    const rows = Array.from({ length: Math.min(count, total - start) }, row);
    const page = { start, rows, total, columns, sort: "made", descending: true, all: false, chosen: [], empty: "" };
    const stream = new Blob([JSON.stringify(page)]).stream().pipeThrough(new CompressionStream("deflate"));
    packed = new Uint8Array(await new Response(stream).arrayBuffer());
  };
  await pack(0, 30);
  window.asked = [];
  table.render({
    el: document.querySelector("#here"),
    model: {
      get: () => packed,
      on: (_, listener) => { heard = listener; },
      off: () => {},
      send: async (message) => {
        window.asked.push(message);
        if (message.do === "window") { await pack(message.start, message.count); heard(); }
      },
    },
  });
}"""
SEEN = """() => {
  const frame = document.querySelector(".jq-scroll"), box = frame.getBoundingClientRect();
  const under = frame.querySelector("thead th")?.getBoundingClientRect().bottom;
  const at = (row) => row.getBoundingClientRect();
  const inSight = (row) => at(row).top >= under - 1 && at(row).bottom <= box.bottom + 1;
  return [...frame.querySelectorAll("tr[data-id]")].filter(inSight).map((row) => Number(row.dataset.id.slice(1)));
}"""
"""The numbers of the rows that can be read in full."""
SCROLL = """(share) => {
  const frame = document.querySelector(".jq-scroll");
  frame.scrollTop = share * (frame.scrollHeight - frame.clientHeight);
}"""


@pytest.fixture
def empty(browser: Any) -> Iterator[Any]:
    page, broken = browser.new_page(), []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.set_content(PAGE.replace("{style}", text_of("style.css")))
    yield page
    page.close()
    assert broken == []


def scrolled(page: Any, share: float) -> list[int]:
    """What is in sight once that share of the way was scrolled, and nothing moves any more."""
    page.evaluate(SCROLL, share)
    return settled(page)


def settled(page: Any) -> list[int]:
    before = None
    while (now := page.evaluate(SEEN)) != before or not now:
        before = now
        page.wait_for_timeout(100)
    return list(now)


@pytest.mark.parametrize("total", [40, 1_000, 500_000, 1_000_000, 3_000_000])
def test_each_row_can_be_reached(empty: Any, total: int) -> None:
    empty.evaluate(SHOW, [text_of("table.js"), total])
    first = settled(empty)
    fit = len(first)
    assert first == list(range(fit))
    for share in (0.1, 0.25, 0.5, 0.9, 0.999):
        rows = scrolled(empty, share)
        assert rows == list(range(rows[0], rows[0] + len(rows)))
        assert abs(rows[0] - share * (total - fit)) <= max(2, total / 1e5)
        assert len(rows) >= fit - 1
    assert scrolled(empty, 1)[-1] == total - 1
    assert scrolled(empty, 0) == first
    tall = empty.evaluate("document.querySelector('.jq-scroll').scrollHeight")
    assert tall <= 15_000_100


@pytest.mark.parametrize("total", [1_000, 3_000_000])
def test_the_keyboard_goes_from_row_to_row(empty: Any, total: int) -> None:
    empty.evaluate(SHOW, [text_of("table.js"), total])
    settled(empty)
    empty.focus(".jq-scroll")
    empty.keyboard.press("End")
    assert settled(empty)[-1] == total - 1
    empty.keyboard.press("Home")
    settled(empty)
    for number in range(40):
        empty.keyboard.press("ArrowDown")
        empty.wait_for_function(f"document.activeElement.dataset?.id === 'j{number}'")
        empty.wait_for_timeout(20)
    assert 39 in settled(empty)
