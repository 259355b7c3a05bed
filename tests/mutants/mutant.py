"""A rule of the protocol, taken out of the code: one text of one file, replaced by another that leaves the rule out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PROTOCOL = "tests/store/test_protocol.py::"
ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jobqueue"


class Mutant(NamedTuple):
    """`rule` says what is left out; `tests` (one, or several with ` & ` between them) must fail without it."""

    invariant: str
    rule: str
    file: str
    old: str
    new: str
    tests: str

    @property
    def name(self) -> str:
        return f"{self.invariant}: {self.rule}"

    @property
    def node_ids(self) -> list[str]:
        return self.tests.split(" & ")

    def apply(self, package: Path) -> None:
        """Changes a copy of the package. The text must stand there exactly once: else this mutant needs to be looked at."""
        path = package / self.file
        path.write_text(self.mutated(path.read_text()))

    def mutated(self, source: str) -> str:
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has {source.count(self.old)} places with {self.old!r}, not one")
        return source.replace(self.old, self.new)

    def row(self) -> str:
        """Its line in the table of ARCHITECTURE.md."""
        tests = ", ".join(f"`{shown(test)}`" for test in self.node_ids)
        return f"| {self.invariant} | {self.rule} | `{self.file}` | {tests} |"


def shown(test: str) -> str:
    """`tests/store/test_protocol.py::test_x[y]` as `test_protocol: x[y]`."""
    file, _, name = test.partition("::")
    return f"{Path(file).stem.removeprefix('test_')}: {re.sub('^test_', '', name).replace('_', ' ')}"
