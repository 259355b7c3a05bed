"""Settings: which source wins, where files are found, and what is said of a wrong one."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from jobqueue.errors import ConfigError
from jobqueue.queue.config import Config, load_config, refuse_planted


def load(folder: Path, text: str | None = None, **environ: str) -> Config:
    if text is not None:
        (folder / "jobqueue.yaml").write_text(text)
    return load_config(folder, environ)


def refusal(folder: Path, text: str | None = None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Config()
    assert Config().queue_dir == "./queue_dir"
    assert (Config().settle_time, Config().poll_interval, Config().grace) == (2.0, 1.0, 30.0)
    assert (Config().max_file_size, Config().port, Config().types) == (1024**2, 8787, None)


def test_every_setting_is_read_from_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        queue_dir: data/queue
        handlers: [handlers.py, shop.jobs, /abs/more.py]
        types: [scan, fetch]
        concurrency: 4
        executor: thread
        durability: relaxed
        settle_time: 500ms
        max_file_size: 2 MiB
        poll_interval: 0.5
        grace: 1m30s
        log_level: DEBUG
        port: 9000
        """,
    )
    assert config == Config(
        queue_dir=str(tmp_path / "data/queue"),
        handlers=(str(tmp_path / "handlers.py"), "shop.jobs", "/abs/more.py"),
        types=("scan", "fetch"),
        concurrency=4,
        executor="thread",
        durability="relaxed",
        settle_time=0.5,
        max_file_size=2 * 1024**2,
        poll_interval=0.5,
        grace=90.0,
        log_level="debug",
        port=9000,
        file=tmp_path / "jobqueue.yaml",
    )


def test_one_text_stands_for_a_list(tmp_path: Path) -> None:
    config = load(tmp_path, "handlers: handlers.py\ntypes: scan\n")
    assert (config.handlers, config.types) == ((str(tmp_path / "handlers.py"),), ("scan",))


def test_the_file_of_a_parent_is_found_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").write_text("queue_dir: q\nhandlers: [../h.py]\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    config = load(inner)
    assert config.queue_dir == str(tmp_path / "q")
    assert config.handlers == (str(tmp_path.parent / "h.py"),)
    assert config.file == tmp_path / "jobqueue.yaml"


def test_the_nearest_file_wins_and_is_not_merged_with_others(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").write_text("concurrency: 9\nport: 1234\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    config = load(inner, "concurrency: 2\n")
    assert (config.concurrency, config.port) == (2, 8787)


def test_the_current_folder_is_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobqueue.yaml").write_text("port: 1234\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBQUEUE_CONCURRENCY", "3")
    config = load_config()
    assert (config.port, config.concurrency) == (1234, 3)


def test_argument_before_environment_before_file_before_default(tmp_path: Path) -> None:
    assert load(tmp_path).queue_dir == "./queue_dir"
    file = load(tmp_path, "queue_dir: from_file\n")
    assert file.queue_dir == str(tmp_path / "from_file")
    environment = load(tmp_path, JOBQUEUE_DIR="from_environment")
    assert environment.queue_dir == "from_environment"
    assert environment.with_arguments(queue_dir="from_argument").queue_dir == "from_argument"
    assert environment.with_arguments(queue_dir=None).queue_dir == "from_environment"


def test_all_environment_variables(tmp_path: Path) -> None:
    config = load(tmp_path, JOBQUEUE_DIR="q", JOBQUEUE_PORT="80", JOBQUEUE_CONCURRENCY=" 5 ", JOBQUEUE_LOG="Debug")
    assert (config.queue_dir, config.port, config.concurrency, config.log_level) == ("q", 80, 5, "debug")


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, "port: 80\n", JOBQUEUE_PORT="").port == 80


def test_arguments_are_parsed_as_the_file_is() -> None:
    config = Config().with_arguments(
        queue_dir=Path("q"), handlers=("h.py",), grace=timedelta(minutes=1), max_file_size="1 kB", concurrency=None
    )
    assert config == Config(queue_dir="q", handlers=("h.py",), grace=60.0, max_file_size=1000)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"concurency": 2}, "concurency: unknown setting (did you mean 'concurrency'?)"),
        ({"file": Path("x")}, "file: unknown setting"),
        ({"concurrency": 0}, "concurrency: 0 is out of range; give 1 to 1000"),
        ({"executor": "proces"}, "executor: 'proces' is not known (did you mean 'process'?); give process, thread, inline"),
    ],
)
def test_a_wrong_argument(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config().with_arguments(**given)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "concurrency:\ntypes: null\n", "\ufeffport: 8787\n"])
def test_nothing_said_leaves_the_defaults(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).with_arguments() == Config(file=tmp_path / "jobqueue.yaml")


@pytest.mark.parametrize("queue", [":memory:", "redis://localhost/1"])
def test_what_is_no_path_stays_as_it_is(tmp_path: Path, queue: str) -> None:
    assert load(tmp_path, f'queue_dir: "{queue}"\n').queue_dir == queue


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert load(tmp_path, "queue_dir: ~/queue\n").queue_dir == "/home/ada/queue"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port: 1\n\nconcurency: 4\n", "jobqueue.yaml:3: concurency: unknown key (did you mean 'concurrency'?)"),
        ("retention: 7d\n", "jobqueue.yaml:1: retention: '7d' is no rule; write done: 7d and failed: 30d below it"),
        (
            "retention:\n  done: 7d\n  faild: 30d\n",
            "jobqueue.yaml:3: retention.faild: only done and failed jobs, and the journal, can go (did you mean 'failed'?)",
        ),
        (
            "retention:\n  done:\n    age: 7d\n    cout: 5\n",
            "jobqueue.yaml:4: retention.done.cout: not a limit (did you mean 'count'?); give age, count or size",
        ),
        ("retention: {done: {count: many}}\n", "jobqueue.yaml:1: retention.done.count: 'many' is not a number of jobs"),
        (
            "retention:\n  done:\n    size: 1 gallon\n",
            "jobqueue.yaml:3: retention.done.size: '1 gallon' is not a size; give bytes, or a text such as \"2 MiB\"",
        ),
        (
            "schedules:\n  a:\n    every: 1h\n  b:\n    type: scan\n    evry: 1h\n",
            "jobqueue.yaml:6: schedules.b.evry: not an option of a schedule (did you mean 'every'?); "
            "a handler's own arguments go into the payload",
        ),
        (
            "schedules:\n- type: scan\n  every: 1h\n- type: scan\n  name: b\n  cron: '@dayly'\n",
            "jobqueue.yaml:6: schedules[1].cron: '@dayly' is unknown (did you mean '@daily'?); write five fields "
            '(minute hour day-of-month month day-of-week), like "0 6 * * mon-fri", or a word like "@daily"',
        ),
        ("schedules:\n  a: {every: 1h}\n  a: {every: 2h}\n", "jobqueue.yaml:3: schedules.a: given twice; keep one"),
        (
            "schedules:\n- {every: 1h, type: a}\n- {every: 2h, type: a}\n",
            "jobqueue.yaml:3: schedules[1]: a second schedule named 'a'; give each a name of its own",
        ),
        ("schedules: &all\n  - *all\n", "jobqueue.yaml:1: schedules[0]: contains itself"),
        ("[a, b]: 1\n", "jobqueue.yaml:1: ?: unknown key"),
        ("port: 1\nport: 2\n", "jobqueue.yaml:2: port: given twice, first in line 1; keep one"),
        ("\n- port\n", "jobqueue.yaml:2: not settings; write lines such as 'concurrency: 4'"),
        ("port\n", "jobqueue.yaml:1: not settings; write lines such as 'concurrency: 4'"),
        ("port: 1\nhandlers: [a\n", "jobqueue.yaml:3: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("port: 1\n\tgrace: 2\n", "jobqueue.yaml:2: not YAML: found character '\\t' that cannot start any token"),
        ("port: 1\n---\nport: 2\n", "jobqueue.yaml:2: not YAML: but found another document"),
        ("port: 1\ngrace: 2\x07\n", "jobqueue.yaml:2: not YAML: the character '\\x07'; take it out"),
        ("port: *gone\n", "jobqueue.yaml:1: not YAML: found undefined alias 'gone'"),
        (
            "types: !!python/none\n",
            "jobqueue.yaml:1: not YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/none'",
        ),
        ("types:\n  - a\n  - 3\n", "jobqueue.yaml:3: types[1]: 3 is not a text"),
        ("types: []\n", "jobqueue.yaml:1: types: an empty list; leave it out for all types"),
        ("handlers: {a: b}\n", "jobqueue.yaml:1: handlers: {'a': 'b'} is not a list of texts"),
        ("queue_dir: [a]\n", "jobqueue.yaml:1: queue_dir: ['a'] is not a text"),
        ("concurrency: '4'\n", "jobqueue.yaml:1: concurrency: '4' is not a whole number; give 1 to 1000"),
        ("concurrency: yes\n", "jobqueue.yaml:1: concurrency: True is not a whole number; give 1 to 1000"),
        ("port: 70000\n", "jobqueue.yaml:1: port: 70000 is out of range; give 0 to 65535"),
        (
            "max_file_size: 2 MB2\n",
            "jobqueue.yaml:1: max_file_size: '2 MB2' is not a size; give bytes, or a text such as \"2 MiB\"",
        ),
        ("max_file_size: 0\n", "jobqueue.yaml:1: max_file_size: 0 is out of range; give at least 1 byte"),
        ("poll_interval: 0\n", 'jobqueue.yaml:1: poll_interval: 0 leaves no time; give more than zero, like "1s"'),
        ("grace: soon\n", 'jobqueue.yaml:1: grace: cannot read \'soon\'; write "30s", "10m", "1h30m" or "7d"'),
        ("grace: 2026-13-45\n", "jobqueue.yaml:1: grace: month must be in 1..12"),
        (
            "durability: lax\n",
            "jobqueue.yaml:1: durability: 'lax' is not known (did you mean 'relaxed'?); give strict, relaxed",
        ),
        ("log_level: off\n", "jobqueue.yaml:1: log_level: False is not known; give debug, info, warning, error"),
    ],
)
def test_a_wrong_file_names_line_key_and_fix(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text) == message


def test_the_file_of_a_parent_is_named_with_its_way(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").write_text("prot: 1\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    assert refusal(inner) == "../jobqueue.yaml:1: prot: unknown key (did you mean 'port'?)"


def test_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").mkdir()
    assert refusal(tmp_path) == "jobqueue.yaml: cannot be read: Is a directory"


def test_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").symlink_to("gone.yaml")
    assert refusal(tmp_path) == "jobqueue.yaml: cannot be read: No such file or directory"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").write_bytes(b"port: 1\ngrace: \xff\n")
    assert refusal(tmp_path) == "jobqueue.yaml:2: not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"JOBQUEUE_PORT": "http"}, "JOBQUEUE_PORT: 'http' is not a whole number; give 0 to 65535"),
        ({"JOBQUEUE_CONCURRENCY": "-1"}, "JOBQUEUE_CONCURRENCY: '-1' is not a whole number; give 1 to 1000"),
        ({"JOBQUEUE_CONCURRENCY": "0"}, "JOBQUEUE_CONCURRENCY: 0 is out of range; give 1 to 1000"),
        (
            {"JOBQUEUE_LOG": "debgu"},
            "JOBQUEUE_LOG: 'debgu' is not known (did you mean 'debug'?); give debug, info, warning, error",
        ),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    assert refusal(tmp_path, **environ) == message


def test_a_file_that_a_stranger_left_in_a_shared_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "jobqueue.yaml"
    file.write_text("handlers: [evil.py]\n")
    tmp_path.chmod(0o1777)
    refuse_planted(file, "jobqueue.yaml")  # our own file there is fine
    stranger = type("Stat", (), {"st_uid": os.geteuid() + 1, "st_mode": tmp_path.stat().st_mode})()
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(Path, "stat", lambda path: stranger)
    with pytest.raises(ConfigError, match=r"belongs to another user, in a folder that everybody may write to; copy it"):
        refuse_planted(file, "jobqueue.yaml")


def test_yaml_is_loaded_only_where_there_is_a_file(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from jobqueue.queue.config import load_config
folder = Path(sys.argv[1])
load_config(folder, {})
assert "yaml" not in sys.modules
(folder / "jobqueue.yaml").write_text("port: 1")
assert load_config(folder, {}).port == 1
assert "yaml" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
