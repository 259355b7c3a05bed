"""What a reader sees of a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import combinations

import pytest

from jobqueue.analytics.pictures.scales import text_width


@pytest.fixture
def is_well_laid() -> Callable[[str], None]:
    return check


def check(svg: str) -> None:
    """No text reaches out of the picture, none lies on another, and all have 11 to 13 pixels."""
    root = ET.fromstring(svg)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    boxes = []
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        size = float(text.get("font-size", "11"))
        length = text_width(text.text or "", size)
        x, y = float(text.get("x", "0")), float(text.get("y", "0"))
        x -= {"end": length, "middle": length / 2}.get(text.get("text-anchor", ""), 0)
        assert 11 <= size <= 13
        assert x >= -1, text.text
        assert x + length <= width + 1, text.text
        assert size * 0.7 <= y <= height - 3, text.text
        boxes.append((x, x + length, y, text.text))
    for (left, right, y, text), (other_left, other_right, other_y, other) in combinations(boxes, 2):
        assert abs(y - other_y) >= 9 or right <= other_left or other_right <= left, (text, other)
