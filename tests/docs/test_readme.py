"""The documents are run: every block of Python and of shell, in order, and what they say comes out does come out."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jobqueue import Queue
from jobqueue.queue import default
from jobqueue.queue.config import PARSERS, VARIABLES, Config
from jobqueue.queue.registry import Registry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("python", "console", "sh")


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    return [Block(match[1], match[2], text.count("\n", 0, match.start()) + 2) for match in FENCE.finditer(text)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, where modules that a document writes can be imported, and forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("handlers", "fetching"):  # another test may have had a module of that name
        monkeypatch.delitem(sys.modules, name, raising=False)
    modules, opened = set(sys.modules), set(default.opened)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    for key in set(default.opened) - opened:
        default.opened.pop(key).close()


@pytest.mark.parametrize("document", ["README.md", "queue_dir/README.md"])
def test_every_block_of_a_document_runs_and_says_what_it_says(document: str, place: Path) -> None:
    if document != "README.md":
        Queue("queue_dir").close()
    names: dict[str, object] = {"__name__": "__readme__"}
    found = [block for block in blocks((ROOT / document).read_text()) if block.language in RUN]
    assert found
    for block in found:
        where = f"{document}:{block.line}"
        if block.language == "python":
            run_python(block.text, names, where)
        else:
            run_console(block.text, where)


def run_python(text: str, names: dict[str, object], where: str) -> None:
    """A block whose first line names a file is one of handlers. A comment behind print(...) says what is printed."""
    file = re.match(r"# (\w+\.py)\n", text)
    if file is not None:
        Path(file[1]).write_text(text)
        assert Registry.load([file[1]]).types, where
        return
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, where, "exec"), names)
    said = re.findall(r"^ *print\(.*\) +# (.*)$", text, re.MULTILINE)
    if said:
        assert_like(said, printed.getvalue().splitlines(), where)


def run_console(text: str, where: str) -> None:
    for entry in re.split(r"^(?=\$ )", text, flags=re.MULTILINE):
        if not entry.startswith("$ "):
            assert not entry.strip(), f"{where}: output without a command: {entry}"
            continue
        command, *said = entry.removeprefix("$ ").splitlines()
        if command.startswith("make "):
            continue
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{where}: {command}\n{done.stdout}{done.stderr}"
        if said:
            assert_like(said, done.stdout.splitlines(), f"{where}: {command}")


def assert_like(said: list[str], printed: list[str], where: str) -> None:
    """Line by line, all white space alike; `...` stands for any text, and alone in a line for any number of lines."""
    pattern = "".join(r"(?:[^\n]*\n)*" if line.strip() == "..." else f"{like(line)}\n" for line in said)
    text = "".join(" ".join(line.split()) + "\n" for line in printed)
    assert re.fullmatch(pattern, text), f"{where}\nexpected:\n" + "\n".join(said) + f"\nprinted:\n{text}"


def like(line: str) -> str:
    return re.escape(" ".join(line.split())).replace(r"\.\.\.", r"[^\n]*")


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:\$ |`|^    )make ([a-z-]+)", (ROOT / document).read_text(), re.MULTILINE))
        assert named
        assert named <= targets, document


def test_every_command_that_the_readme_names_exists() -> None:
    cli = pytest.importorskip("jobqueue.cli", reason="the command line cannot be imported yet")
    named = set(re.findall(r"(?:\$ |`)jobqueue ([a-z-]+)", README))
    assert len(named) >= 15
    assert named <= set(cli.program.commands)
    assert set(cli.program.commands) <= set(re.findall(r"[a-z-]+", README))


def test_every_link_leads_somewhere() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
            assert "://" in target or (ROOT / target).exists(), f"{document}: {target}"


def test_the_table_of_settings_is_complete_and_true() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \| (`\w+`)? ?\|", README, re.MULTILINE)
    table = {key: (default.strip("`"), variable.strip("`")) for key, default, variable in rows}
    assert set(table) == set(PARSERS)
    assert {variable: key for key, (_, variable) in table.items() if variable} == VARIABLES
    for key, (usual, _) in table.items():
        if usual not in ("none", "all"):
            assert PARSERS[key](int(usual) if usual.isdigit() else usual, key) == getattr(Config(), key)


def test_every_option_of_a_job_that_works_is_in_the_readme() -> None:
    from jobqueue.model.request import OPTIONS

    not_told = {"pipeline_version", "redo_of"}  # a handler's mark and `redo` say them
    assert {option for option in OPTIONS - not_told if f"`{option}" not in README} == set()
