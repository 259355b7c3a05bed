"""Takes out one rule after the other, in a copy of the project, and runs the tests that must then fail.

    python tests/mutants/run.py            all of them (some minutes)
    python tests/mutants/run.py I4 power   those whose name or tests hold one of these texts
    python tests/mutants/run.py --table    the table of ARCHITECTURE.md, nothing is run

Prints a line for each; the exit code is 1 when one of them goes unnoticed, or when a test fails without any change.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.mutants.catalogue import CATALOGUE
from tests.mutants.mutant import ROOT, Mutant

COPIED = ("jobqueue", "tests", "examples", "pyproject.toml", "README.md")
LONGEST = 100


@contextmanager
def copy() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def passes(folder: Path, tests: list[str], within: float = LONGEST) -> bool:
    """Whether these tests pass with the package of this folder. A test that hangs has not passed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout=60", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=within)
    except subprocess.TimeoutExpired:
        return False
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(tests)} could not be run:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return ran.returncode == 0


def verdict(mutant: Mutant) -> tuple[Mutant, list[str], float]:
    """The tests that do not notice; each of those that are named must fail by itself."""
    started = time.monotonic()
    with copy() as folder:
        mutant.apply(folder / "jobqueue")
        blind = [test for test in mutant.node_ids if passes(folder, [test])]
    return mutant, blind, time.monotonic() - started


def main(words: list[str]) -> int:
    if words == ["--table"]:
        print(*(mutant.row() for mutant in CATALOGUE), sep="\n")
        return 0
    chosen = [mutant for mutant in CATALOGUE if not words or any(word in mutant.name + mutant.tests for word in words)]
    tests = sorted({test for mutant in chosen for test in mutant.node_ids})
    with copy() as folder:
        if not passes(folder, tests, LONGEST * 10):
            print("these tests fail without any change:", *tests, sep="\n  ")
            return 1
    unnoticed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, blind, seconds in pool.map(verdict, chosen):
            unnoticed += bool(blind)
            print(f"{'UNNOTICED' if blind else 'caught':9} {seconds:5.1f} s  {mutant.name}", *blind, sep="\n    ", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} rules, taken out, make a test fail")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
