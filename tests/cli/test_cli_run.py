"""`pause`, `resume`, `worker`, completion, and what the help promises."""

from __future__ import annotations

import logging
import shlex
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

from jobqueue.cli import program
from jobqueue.cli.completing import SAFE
from jobqueue.cli.program import SECTIONS
from jobqueue.cli.running import worker


def test_pause_and_resume(shell: Any, crew: Any) -> None:
    id = shell.add("a")
    assert " is paused by ann since " in shell("pause", "--reason", "disk", "--by", "ann").stdout
    assert "paused by ann" in shell("why", id).stdout
    said = shell.json("pause", "--type", "a")
    assert said["paused"]["reason"] == "disk"
    assert said["paused"]["at"].endswith("Z")
    assert list(said["paused_types"]) == ["a"]
    assert shell("resume").stdout == "the queue is no longer paused\nthe type 'a' is still paused\n"
    assert shell("resume").stdout.startswith("the queue was not paused\n")
    assert shell("resume", "--type", "b").stdout.startswith("the type 'b' was not paused\n")
    assert shell("resume", "--type", "a").stdout == "the type 'a' is no longer paused\n"
    assert shell.json("resume") == {"paused": None, "paused_types": {}}
    shell("pause")
    assert shell("resume", "--type", "a").stdout.endswith("the queue is still paused\n")


def test_the_worker_gets_all_that_was_said(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[list[str]] = []
    monkeypatch.setattr("jobqueue.worker.__main__.main", lambda arguments: got.append(arguments) or 3)
    shell("worker", "--handlers", "a.py", "--once", code=3)
    shell("worker", "--types", "a,b", "-q", "other", "--log-level", "debug", code=3)
    shell("worker", "--help", code=3)
    assert got == [
        ["--queue", str(shell.folder), "--handlers", "a.py", "--once"],
        ["--queue", "other", "--types", "a,b", "--log-level", "debug"],
        ["--queue", str(shell.folder), "--help"],
    ]


def test_the_worker_speaks_for_itself(shell: Any) -> None:
    assert "--drain" in shell("worker", "--help").stdout
    assert "No such option" in shell.usage("worker", "--nonsense")
    assert "no handlers" in shell.error("worker", "--once")


def complete(shell: Any, *words: str) -> list[str]:
    """What the last word may become."""
    completer = ShellComplete(program, {}, "jobqueue", "_JOBQUEUE_COMPLETE")
    return [item.value for item in completer.get_completions(["-q", str(shell.folder), *words[:-1]], words[-1])]


def test_what_tab_offers(shell: Any, crew: Any) -> None:
    failed = (shell.add("scan", "--project", "p1"), crew.fail())[1]
    running = shell.add("scan", "--project", "p2")
    crew.claim()
    waiting = shell.add("export")
    shell("enqueue", "export", "--id", "gone")
    shell("delete", "gone")
    assert set(complete(shell, "re")) == {"redo", "resume", "restore", "retention", "retry"}
    assert set(complete(shell, "show", "")) == {failed, running, waiting}
    assert complete(shell, "retry", "") == [failed]
    assert complete(shell, "retry", failed, "") == [failed]
    assert set(complete(shell, "cancel", "10-")) == {running, waiting}
    assert set(complete(shell, "delete", "")) == {failed, waiting}
    assert complete(shell, "restore", "") == ["gone"]
    assert set(complete(shell, "enqueue", "")) == {"scan", "export"}
    assert complete(shell, "list", "--type", "sc") == ["scan"]
    assert set(complete(shell, "list", "--project", "p")) == {"p1", "p2"}
    assert complete(shell, "list", "--status", "") == ["pending", "claimed", "done", "failed"]
    assert complete(shell, "list", "--status", "que") == ["queued"]
    assert complete(shell, "list", "--order", "n") == ["newest"]
    assert "--older-than" in complete(shell, "list", "--o")


def test_tab_never_offers_what_a_shell_would_run(shell: Any) -> None:
    for type in ("$(touch x)", "a;b", "a b", "`x`", "a\nb", "-rf", "~root", "*", "größe", "fine"):
        shell("enqueue", "--", type)
    assert complete(shell, "list", "--type", "") == ["fine"]
    assert not SAFE.fullmatch("")


def test_tab_is_silent_whatever_happens(shell: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(*_: Any, **__: Any) -> None:
        logging.getLogger("jobqueue").error("a complaint")
        raise RuntimeError("boom")

    monkeypatch.setattr("jobqueue.queue.queue.Queue.workers", broken)
    assert complete(shell, "list", "--type", "") == []
    shell.folder = shell.folder / "missing"
    for words in (["show", ""], ["restore", ""], ["list", "--project", ""], ["list", "--type", ""], ["cancel", ""]):
        assert complete(shell, *words) == []
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("jobqueue").isEnabledFor(logging.ERROR)


def test_an_unknown_shell(shell: Any) -> None:
    assert "'tcsh' is not one of" in shell.usage("completion", "tcsh")


def test_every_command_stands_in_one_section() -> None:
    named = [name for names in SECTIONS.values() for name in names]
    assert sorted(named) == sorted(program.commands)


@pytest.mark.parametrize("name", sorted(program.commands))
def test_help_is_complete(shell: Any, name: str) -> None:
    command = program.commands[name]
    short = command.get_short_help_str(66)
    assert short.endswith(".")
    assert not short.endswith("...")
    if command is not worker:
        text = shell(name, "--help").stdout
        assert "Examples:\n" in text
        assert ("--json: " in text) == any("--json" in param.opts for param in command.params)
        assert all(param.help for param in command.params if isinstance(param, click.Option) and param.name != "order")


@pytest.mark.parametrize("name", ["", *sorted(program.commands)])
def test_the_examples_are_valid(name: str) -> None:
    epilog = (program.commands[name] if name else program).epilog or ""
    for line in epilog.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["jobqueue"]:
            command = program.commands[words[1]]
            arguments = words[2 : words.index(">") if ">" in words else None]
            command.make_context(words[1], arguments, parent=click.Context(program))


def test_the_sections_of_help(shell: Any) -> None:
    text = shell("--help").stdout
    for title in SECTIONS:
        assert f"\n{title}:\n" in text
    assert "Exit codes" in text
    assert shell("--version").stdout.startswith("jobqueue, version ")
    assert "No such command 'lst'" in shell.usage("lst")
