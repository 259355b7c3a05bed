"""SECURITY.md claims nothing that no test holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
POLICY = (ROOT / "SECURITY.md").read_text()


def test_every_test_that_the_policy_names_exists() -> None:
    here = "\n".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", POLICY)
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in here] == []
    rows = [line for line in POLICY.splitlines() if line.startswith("| ") and not line.startswith("| |")]
    assert all("`test_" in row for row in rows)


def test_the_policy_names_every_dependency_and_each_has_a_lower_bound() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for dependency in dependencies:
        name, bound, version = re.fullmatch(r"(\w+)(>=)([\d.]+)", dependency).groups()  # type: ignore[union-attr]
        assert name in POLICY
        assert bound == ">="
        assert version
