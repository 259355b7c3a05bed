"""The protocol as a model: no interleaving, kill or power cut breaks it, and each rule is there for a reason."""

from __future__ import annotations

import pytest

from .model_scenes import LARGE, SCENES, VARIANTS
from .model_search import Search


@pytest.mark.parametrize("name", SCENES)
def test_nothing_that_can_happen_breaks_an_invariant(name: str) -> None:
    found = Search(SCENES[name], frozenset()).run()
    assert not found.broken, "\n".join([found.broken, *found.trace])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", LARGE)
def test_nothing_that_can_happen_in_a_larger_scene_breaks_an_invariant(name: str) -> None:
    found = Search(LARGE[name], frozenset()).run()
    assert not found.broken, "\n".join([found.broken, *found.trace])


@pytest.mark.parametrize("name", VARIANTS)
def test_each_rule_left_out_breaks_an_invariant(name: str) -> None:
    variant = VARIANTS[name]
    found = Search(variant.scene, frozenset(variant.rule.split(", ")), variant.invariant).run()
    print(f"{name}: {found.broken}", *found.trace, sep="\n    ")
    assert found.broken.startswith(variant.invariant)
