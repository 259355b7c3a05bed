"""Marks and layout, without any frame: valid XML whatever strangers call their jobs, and colours that all can tell apart."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import timezone
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.analytics.pictures.chart import GREY, Chart, Panel
from jobqueue.analytics.pictures.scales import Scale, count_scale, text_width, time_scale
from jobqueue.analytics.pictures.svg import (
    OUTCOMES,
    SERIES,
    Area,
    Bars,
    Ink,
    Line,
    Look,
    Markers,
    Span,
    Spans,
    Tip,
    cut,
    escape,
)

INK = Ink("currentColor", 0.2, tips=True)
PLAIN = Look("#123456")
X, Y = Scale(0, 10, 0, 100, ()), Scale(0, 10, 100, 0, ())


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", sorted({look.colour for look in (*OUTCOMES.values(), *SERIES)} | {"#777777"}))
def test_each_colour_has_contrast_on_light_and_dark(colour: str) -> None:
    assert GREY.colour == "#777"
    for background in ("#ffffff", "#111111", "#0d1117"):
        light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, background


@pytest.mark.parametrize("looks", [tuple(OUTCOMES.values()), SERIES])
def test_looks_differ_without_colour(looks: tuple[Look, ...]) -> None:
    assert len({(look.hatch, look.bare) for look in looks}) == len(looks)


def test_bars_stand_on_each_other() -> None:
    """Of 10 in 100 pixels: 2 and then 3 in the first half. There are 2 pixels of air."""
    drawn = Bars([0, 5, 10], [[2, 0], [3, 1]], [PLAIN, PLAIN]).draw(X, Y, INK)
    assert drawn == ('<path fill="#123456" d="M1 100H49V80H1z"/><path fill="#123456" d="M1 80H49V50H1zM51 100H99V90H51z"/>')


def test_a_single_one_of_a_million_is_seen() -> None:
    assert "V99H" in Bars([0, 10], [[1]], [PLAIN]).draw(X, Scale(0, 1e6, 100, 0, ()), INK)


def test_a_line_is_broken_where_nothing_is_known() -> None:
    drawn = Line([0, 5, 10], [10, None, 0], PLAIN).draw(X, Y, INK)
    assert 'd="M0 0M100 100"' in drawn
    assert Line([0], [None], PLAIN).draw(X, Y, INK) == ""


def test_an_area_has_a_step_for_each_period() -> None:
    assert 'd="M0 100V80H50V0H100V100"' in Area([0, 5, 10], [2, 10], PLAIN).draw(X, Y, INK)


def test_names_of_lines_are_not_crossed() -> None:
    right = Markers([(1, "p50"), (2, "p95")]).draw(X, Y, INK)
    assert right.index("p50") < right.index("p95")
    left = Markers([(8, "p50 12 s"), (9.9, "p95 14 s")]).draw(X, Y, INK)
    assert left.index("p95") < left.index("p50")
    assert left.count('text-anchor="end"') == 2


def test_what_went_wrong_is_broader() -> None:
    spans = [Span(0, 0, 5, OUTCOMES["done"], "a"), Span(0, 5, 10, OUTCOMES["failed"], "b")]
    drawn = Spans(spans).draw(X, Scale(0, 1, 0, 20, ()), INK)
    assert "M0 5.5H49.4V14.5H0z" in drawn
    assert "M50 3.5H99.4V16.5H50z" in drawn


HOSTILE = [
    "</title><script>alert(1)</script>",
    '" onload="alert(1)',
    "a" * 10_000,
    "שלום \u202eevil\u202c",
    "👩‍👩‍👧 family",
    "\x00\x1b[31m\x07",
    "\ufffe\uffff",
    "\ud800 half",
    "]]>&amp;<!--",
    "",
    "line\nbreak",
]


def chart(name: str) -> Chart:
    return Chart(
        title=name,
        told=name,
        axis=lambda start, end: Scale(0, 10, start, end, ()),
        panels=[
            Panel(name, 50, [Bars([0, 5, 10], [[1, 2]], [SERIES[1]])], partial(count_scale, 3)),
            Panel(name, 40, [Spans([Span(0, 1, 2, SERIES[2], name)])], rows=[name]),
        ],
        legend=[(name, SERIES[1]), (name, SERIES[2])],
        tips=[Tip(0, 5, name)],
    )


def is_inert(text: str) -> None:
    root = ET.fromstring(text)
    assert not {element.tag.split("}")[1] for element in root.iter()} & {"script", "foreignObject", "image", "use", "a"}
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on") or "href" in key]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [240, 350, 700])
def test_hostile_names_do_nothing(name: str, width: int) -> None:
    for ink in (GREY, INK):
        is_inert(chart(name).draw(width, ink))


@given(st.text(st.characters(), max_size=60))
def test_any_name_does_nothing(name: str) -> None:
    is_inert(chart(name).draw(350))


@given(st.text(st.characters(), max_size=600), st.integers(20, 200))
def test_a_name_is_cut_to_the_room_there_is(name: str, width: int) -> None:
    assert text_width(cut(name, width)) <= width + 1


def test_the_end_of_a_long_name_is_kept() -> None:
    assert cut("worker-on-some-build-host-12", 100).endswith("st-12")
    assert cut("scan", 100) == "scan"
    assert escape("a\nb") == "a\nb"


@pytest.mark.parametrize("width", [240, 350, 700])
def test_no_text_is_outside_or_on_another(width: int, is_well_laid: Callable[[str], None]) -> None:
    is_well_laid(chart("A name of some length").draw(width))


def test_two_days_side_by_side_are_the_later_one(is_well_laid: Callable[[str], None]) -> None:
    evening = 1772492400.0  # Mon 2 Mar 2026 23:00
    axis = partial(time_scale, evening, evening + 7 * 3600, zone=timezone.utc)
    drawn = Chart("Night", "", axis, [Panel("Jobs", 50, [], partial(count_scale, 3))]).draw(240)
    is_well_laid(drawn)
    assert "Tue 3 Mar" in drawn
    assert "Mon 2 Mar" not in drawn
