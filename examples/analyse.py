"""The handlers of the demo: each looks at one commit of a git repository, or at one Python file.

A handler is a plain function with a mark on it. `analyse_commit("/path/to/repo", "1d7e00f")` works without any queue.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from jobqueue import Discard, exponential, handler

LANGUAGES = {
    **dict.fromkeys((".py", ".pyi"), "Python"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "JavaScript"),
    **dict.fromkeys((".ts", ".tsx"), "TypeScript"),
    **dict.fromkeys((".c", ".h"), "C"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hh", ".hpp"), "C++"),
    **dict.fromkeys((".md", ".markdown"), "Markdown"),
    **dict.fromkeys((".yml", ".yaml"), "YAML"),
    **dict.fromkeys((".html", ".htm"), "HTML"),
    **dict.fromkeys((".sh", ".bash", ".zsh"), "Shell"),
    ".rs": "Rust",
    ".go": "Go",
    ".rb": "Ruby",
    ".java": "Java",
    ".kt": "Kotlin",
    ".swift": "Swift",
    ".cs": "C#",
    ".css": "CSS",
    ".rst": "reStructuredText",
    ".toml": "TOML",
    ".json": "JSON",
    ".ipynb": "Notebook",
    ".sql": "SQL",
}
SHOW = "show -z --raw --numstat --no-abbrev --no-renames --no-ext-diff --no-textconv --no-show-signature --format="
AGAINST_FIRST_PARENT = "-m --first-parent"


# -- one commit


@handler(subject="commit", retry=exponential(base="0.4s", attempts=3), timeout="1m")
def analyse_commit(repo: str, commit: str, title: str = "") -> dict:
    """What a commit changed; a merge is compared with its first parent. `title` is for people only."""
    if not re.fullmatch(r"[0-9a-fA-F]{4,64}", commit):
        raise Discard(f"{commit!r:.60} is not the id of a commit; trying again would not help")
    records = git(repo, *SHOW.split(), *AGAINST_FIRST_PARENT.split(), commit).split("\0")
    changes = list(read_numstat(records))
    return {
        "files": len(changes),
        "added": sum(added for added, _, _ in changes),
        "removed": sum(removed for _, removed, _ in changes),
        "bytes": size_of(repo, blobs_after(records)),
        "languages": by_language(changes),
    }


def read_numstat(records: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """(lines added, lines removed, path) of each file; git writes `-` for a binary one, which counts as no lines."""
    for record in records:
        match = re.fullmatch(r"\n?(\d+|-)\t(\d+|-)\t(.+)", record, re.DOTALL)
        if match:
            added, removed = (0 if number == "-" else int(number) for number in match.group(1, 2))
            yield added, removed, match[3]


def blobs_after(records: Iterable[str]) -> set[str]:
    """The contents that the changed files have after the commit: none for a deleted file or a submodule."""
    found = (re.fullmatch(r"\n?:\d+ (\d+) [0-9a-f]+ ([0-9a-f]+) [A-Z]\d*", record) for record in records)
    return {match[2] for match in found if match and match[1] not in ("000000", "160000")}


def size_of(repo: str, blobs: set[str]) -> int:
    if not blobs:
        return 0
    answer = git(repo, "cat-file", "--batch-check=%(objectsize)", input="\n".join(sorted(blobs)) + "\n")
    return sum(int(line) for line in answer.splitlines() if line.isdigit())


def by_language(changes: Iterable[tuple[int, int, str]]) -> dict[str, list[int]]:
    """Lines added and removed for each language."""
    totals: dict[str, list[int]] = {}
    for added, removed, path in changes:
        total = totals.setdefault(language(path), [0, 0])
        total[0] += added
        total[1] += removed
    return totals


def language(path: str) -> str:
    ending = PurePosixPath(path).suffix.lower()
    return LANGUAGES.get(ending, ending or "no ending")


def git(repo: str, *arguments: str, input: str | None = None) -> str:
    """What git answers: started without a shell, told its repository, and deaf to a GIT_DIR that stands around it."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", repo, *arguments],
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=outside | {"LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
    )
    if done.returncode:
        problem = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(f"git {arguments[0]}: {problem[-1]}")
    return done.stdout


# -- one file


@handler(subject="path", retry=exponential(base="0.4s", attempts=3), timeout="1m")
def analyse_file(path: str, title: str = "") -> dict:
    """What a Python file consists of. `title` is for people only."""
    with tokenize.open(path) as file:  # in the encoding that the file itself declares
        text = file.read()
    lines = [line.strip() for line in text.splitlines()]
    nodes = list(ast.walk(ast.parse(text)))
    blank = lines.count("")
    comments = sum(line.startswith("#") for line in lines)
    return {
        "lines": len(lines),
        "code": len(lines) - blank - comments,
        "comments": comments,
        "blank": blank,
        "functions": sum(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in nodes),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "bytes": Path(path).stat().st_size,
    }
