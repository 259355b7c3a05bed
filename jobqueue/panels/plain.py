"""What stays of a panel where nothing runs: in a saved notebook, on GitHub, in an exported page.

JupyterLab takes style sheets, scripts and SVG out of a notebook that it does not trust, so this is plain HTML: headings, lists
and tables, without buttons that would do nothing, and with pictures as images.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NAME = re.compile(r'<button [^>]*class="jq-name"[^>]*>(.*?)</button>', re.DOTALL)
BUTTON = re.compile(r'<button .*?</button>|<label class="jq-box".*?</label>|<input [^>]*>', re.DOTALL)
DRAWING = re.compile(r"<figure .*?</figure>", re.DOTALL)
CHIP = re.compile(r'<span class="jq-(?:chip|badge)[^>]*>(.*?)</span>', re.DOTALL)
APART = re.compile(r"</(code|time|span)>(?=<)")


def plain(parts: Iterable[str]) -> str:
    """Our own markup without what needs a kernel or a style sheet."""
    whole = "".join(parts)
    for pattern, instead in ((NAME, r"<b>\1</b> "), (BUTTON, ""), (DRAWING, ""), (CHIP, r"<i>\1</i> "), (APART, r"</\1> ")):
        whole = pattern.sub(instead, whole)
    return whole
