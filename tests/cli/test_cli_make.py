"""`jobqueue init`, and which commands make a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from jobqueue.cli.making import CONFIG
from jobqueue.queue.config import PARSERS, Config, load_config


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_a_private_folder_and_says_what_is_next(shell: Any, tmp_path: Path) -> None:
    shell.folder = tmp_path / "new" / "q"
    said = shell("init").stdout
    assert said.startswith(f"made: {shell.folder}\n")
    assert f"jobqueue enqueue --queue {shell.folder} scan" in said
    assert sorted(os.listdir(shell.folder)) == [".jobqueue", "README.md", "claimed", "done", "failed", "pending"]
    for path in (shell.folder, *(shell.folder / name for name in ("pending", "claimed", "done", "failed", ".jobqueue"))):
        assert mode(path) == 0o700


def test_init_takes_all_rights_from_others(shell: Any) -> None:
    shell.folder.chmod(0o777)
    (shell.folder / "pending").chmod(0o775)
    assert shell.error("list").endswith(f"do: chmod go-w {shell.folder}")
    said = shell.json("init")
    assert said["tightened"] == [str(shell.folder), str(shell.folder / "pending")]
    assert (mode(shell.folder), mode(shell.folder / "pending")) == (0o700, 0o700)
    assert "ready" in shell("init").stdout


def test_init_leaves_what_is_there(shell: Any) -> None:
    (shell.folder / "README.md").write_text("ours")
    said = shell.json("init")
    assert (shell.folder / "README.md").read_text() == "ours"
    assert said == {"path": str(shell.folder), "made": False, "tightened": [], "readme": None, "config": None}


def test_init_by_path_or_by_option(shell: Any, tmp_path: Path) -> None:
    assert "give the folder once" in shell.usage("init", "other")
    from click.testing import CliRunner

    from jobqueue.cli import program

    assert CliRunner().invoke(program, ["init", "other"]).exit_code == 0
    assert CliRunner().invoke(program, ["init"]).exit_code == 0
    assert (tmp_path / "other" / "pending").is_dir()
    assert (tmp_path / "queue_dir" / "pending").is_dir()


def test_the_readme_tells_the_truth(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (shell.folder / "README.md").read_text()
    command = next(line.strip() for line in text.splitlines() if line.strip().startswith("echo"))
    monkeypatch.chdir(shell.folder)
    assert os.system(command) == 0
    job = shell.json("show", "my-job")
    assert (job["status"], job["type"], job["payload"]) == ("pending", "scan", {"repo": "octo/cat"})


def test_init_writes_settings_that_can_be_read(shell: Any, tmp_path: Path) -> None:
    shell("init", "--config")
    assert load_config(tmp_path, {}).queue_dir == str(shell.folder)
    assert shell.json("init", "--config")["config"] is None
    assert "left as it is" not in shell("list").stdout
    assert "exists already" in shell("init", "--config").stdout


WITHOUT_DEFAULT = ("handlers", "types", "queue_dir", "max_jobs_per_child", "max_memory")


def test_every_setting_stands_in_the_file_with_its_default(tmp_path: Path) -> None:
    text = CONFIG.format(queue_dir='"./queue_dir"')
    settings = [line.removeprefix("# ") for line in text.splitlines() if line.removeprefix("# ").partition(":")[0] in PARSERS]
    assert sorted(line.partition(":")[0] for line in settings) == sorted(PARSERS)
    plain = [line for line in settings if not line.startswith(WITHOUT_DEFAULT)]
    (tmp_path / "jobqueue.yaml").write_text("\n".join(plain))
    config = load_config(tmp_path, {})
    assert config == Config(file=tmp_path / "jobqueue.yaml")


@pytest.mark.parametrize(
    "command", ["list", "stats", "workers", "check", "doctor", "pause", "resume", "purge", "show x", "why x"]
)
def test_only_enqueue_and_init_make_a_folder(shell: Any, tmp_path: Path, command: str) -> None:
    shell.folder = tmp_path / "missing"
    said = shell.error(*command.split())
    assert said == f"{shell.folder}: no such folder; make the queue with: jobqueue init {shell.folder}"
    assert not shell.folder.exists()
    shell("enqueue", "scan")
    assert shell.folder.exists()


def test_what_cannot_be_a_queue_folder(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(shell.folder)
    (tmp_path / "empty").mkdir()
    for name, said in (("file", "cannot be used"), ("link", "symlink"), ("empty", "no such folder"), (":memory:", "in memory")):
        shell.folder = name
        assert said in shell.error("list") or name == "link"
    shell.folder = "file"
    shell.error("init")
    shell.folder = ""
    assert "empty path" in shell.usage("list")
