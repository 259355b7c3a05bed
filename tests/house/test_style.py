"""What `make lint` and `make types` look at holds on every change, since CI runs the tests and nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKS = {
    "ruff": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "floors": ["-c", "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"],
}
CHANGES_THE_DISK = {"rename", "renames", "replace", "link", "symlink", "unlink", "remove", "rmdir", "rmtree", "mkfifo"}


@pytest.mark.parametrize("name", CHECKS)
def test_the_code_passes(name: str) -> None:
    done = subprocess.run([sys.executable, *CHECKS[name]], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_only_one_module_changes_what_lies_in_a_queue_folder() -> None:
    """A rename or unlink anywhere else in the store or below it would escape the probe of the crash tests."""
    found = []
    for floor in ("store", "queue", "worker", "model"):
        for file in sorted((ROOT / "jobqueue" / floor).glob("*.py")):
            if file.name != "files.py":
                found += [f"{file.relative_to(ROOT)}:{line}" for line in lines_that_call(file, CHANGES_THE_DISK)]

    assert found == []


def test_only_one_module_lists_what_lies_in_a_queue_folder() -> None:
    """A listing needs a descriptor of its own: of two threads that list through the same one, one may see nothing."""
    stores = sorted((ROOT / "jobqueue" / "store").glob("*.py"))
    found = {file.name: lines_that_call(file, {"listdir", "scandir", "fwalk"}) for file in stores if file.name != "files.py"}

    assert {name: lines for name, lines in found.items() if lines} == {}


def lines_that_call(file: Path, names: set[str]) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("os", "shutil")
        and node.func.attr in names
    ]


def test_no_file_is_about_too_much() -> None:
    """A long file is a design that wants mending."""
    long = {
        str(file.relative_to(ROOT)): count
        for file in (ROOT / "jobqueue").rglob("*.py")
        if (count := len(file.read_text().splitlines())) > 400
    }

    assert long == {}
