"""The widget of a panel: parts of HTML that the kernel makes, and messages that say what was clicked in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

HOME = files("jobqueue.panels")


def text_of(name: str) -> str:
    return (HOME / name).read_text("utf-8")


class View(anywidget.AnyWidget):
    """`shown` is None until the page has said whether it can be seen. Each part is a trait of its own, so that only the
    parts that changed cross the wire."""

    _esm = text_of("view.js")
    _css = text_of("style.css")
    shown = traitlets.Bool(None, allow_none=True).tag(sync=True)
    parts = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def update(self, texts: Mapping[str, str]) -> None:
        """One message for all that changed, none where nothing did."""
        changed = {name: text for name, text in texts.items() if getattr(self, name) != text}
        if changed:
            with self.hold_sync():
                for name, text in changed.items():
                    setattr(self, name, text)


@cache
def view_class(parts: tuple[str, ...]) -> type[View]:
    return type("View", (View,), {name: traitlets.Unicode("").tag(sync=True) for name in parts})


def make_view(parts: tuple[str, ...], on_event: Callable[[Mapping[str, Any]], None]) -> View:
    """`on_event` is given what a clicked element says of itself: `{"do": "retry", "id": "..."}`."""
    view = view_class(parts)(parts=list(parts))
    view.on_msg(lambda _, content, buffers: on_event(content))
    return view
