"""The widget of a panel: parts of HTML that the kernel makes, and messages that say what was clicked in them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

HOME = files("jobqueue.panels")


def text_of(name: str) -> str:
    return (HOME / name).read_text("utf-8")


def packed(text: str) -> bytes:
    """As it crosses the wire: rows of HTML are a tenth of their length when they are packed."""
    return zlib.compress(text.encode("utf-8", "replace"), 1) if text else b""


class View(anywidget.AnyWidget):
    """`shown` is None until the page has said whether it can be seen. Each part is a text here and a trait of its own for the
    page, so that only the parts that changed cross the wire."""

    _esm = text_of("view.js")
    _css = text_of("style.css")
    shown = traitlets.Bool(None, allow_none=True).tag(sync=True)
    parts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    texts: Mapping[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        """The text of a part."""
        if name in self.texts:
            return self.texts[name]
        raise AttributeError(f"this view has no part {name!r}")

    def update(self, texts: Mapping[str, str]) -> None:
        """One message for all that changed, none where nothing did."""
        changed = {name: text for name, text in texts.items() if self.texts[name] != text}
        if changed:
            self.texts = {**self.texts, **changed}
            with self.hold_sync():
                for name, text in changed.items():
                    self.set_trait(trait_of(name), packed(text))


def trait_of(part: str) -> str:
    return f"packed_{part}"


@cache
def view_class(parts: tuple[str, ...]) -> type[View]:
    traits: dict[str, Any] = {trait_of(name): traitlets.Bytes(b"").tag(sync=True) for name in parts}
    return type("View", (View,), {**traits, "texts": dict.fromkeys(parts, "")})


def make_view(parts: tuple[str, ...], on_event: Callable[[Mapping[str, Any]], None]) -> View:
    """`on_event` is given what a clicked element says of itself: `{"do": "retry", "id": "..."}`."""
    view = view_class(parts)(parts=list(parts))
    view.on_msg(lambda _, content, buffers: on_event(content))
    return view
