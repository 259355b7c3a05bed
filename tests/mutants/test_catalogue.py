"""The catalogue fits the code as it is: what a mutant takes out stands there, and ARCHITECTURE.md shows the same table."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from .catalogue import CATALOGUE
from .mutant import PACKAGE, ROOT, Mutant

INVARIANTS = {f"I{number}" for number in range(1, 10)}


@pytest.mark.parametrize("mutant", CATALOGUE, ids=lambda mutant: mutant.name)
def test_what_is_taken_out_stands_in_the_code_once(mutant: Mutant) -> None:
    source = (PACKAGE / mutant.file).read_text()
    changed = mutant.mutated(source)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source)), "it changes nothing, or leaves no code behind"


def test_every_invariant_has_a_rule_and_each_rule_a_name_of_its_own() -> None:
    assert {mutant.invariant for mutant in CATALOGUE} >= INVARIANTS
    assert [name for name, count in Counter(mutant.name for mutant in CATALOGUE).items() if count > 1] == []


def test_the_tests_that_are_named_exist() -> None:
    for mutant in CATALOGUE:
        for test in mutant.node_ids:
            file, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), test


def test_the_table_of_the_architecture_is_this_one() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert [mutant.row() for mutant in CATALOGUE if mutant.row() not in text] == []
