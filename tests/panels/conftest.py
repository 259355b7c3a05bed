"""Panels in process, without a kernel: what they draw is HTML in traits, and a click is a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from jobqueue import Queue, handler
from jobqueue.model.retry import constant
from jobqueue.panels import panel as panels_panel
from jobqueue.panels import refresh

Widget = ipywidgets.Widget


@handler
def scan(repo: str) -> dict[str, Any]:
    return {"repo": repo, "stars": 7}


@handler(retry=constant("0s", attempts=2))
def extract(url: str) -> str:
    if "bad" in url:
        raise ValueError(f"cannot parse {url} <b>at byte 17</b>")
    return url


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", durability="relaxed") as made:
        yield made
    panels_panel.close_panels()
    thread = refresh.REFRESHER.thread
    assert thread is None or not thread.is_alive(), "a closed panel leaves a thread"


@pytest.fixture
def filled(queue: Queue) -> Queue:
    """Three done, two failed, two pending."""
    for number in range(3):
        queue.enqueue("scan", {"repo": f"octo/cat-{number}"})
    for number in range(2):
        queue.enqueue("extract", {"url": f"https://example.org/bad/{number}"})
    queue.drain([scan, extract], progress=False)
    queue.enqueue("scan", {"repo": "later"})
    queue.enqueue("scan", {"repo": "<script>alert(1)</script>"}, name="<script>alert(1)</script>")
    return queue


@pytest.fixture
def shown() -> Callable[[Any], str]:
    """All that a panel shows, as one text."""

    def text_of(panel: Any) -> str:
        return "\n".join(getattr(panel.view, part) for part in panel.parts)

    return text_of
