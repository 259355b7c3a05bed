"""Settings: an argument goes before an environment variable, that before jobqueue.yaml, that before the default.

`jobqueue.yaml` is looked for in the start folder and then in its parents. A relative path in it is relative to the
file; everywhere else it is relative to the current folder.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobqueue.errors import ConfigError, InvalidJob
from jobqueue.model.budget import read_budgets
from jobqueue.model.job import LOG_LEVELS
from jobqueue.model.limit import Budget, Limit, read_limits
from jobqueue.model.request import nearest
from jobqueue.model.retention import NO_RETENTION, Retention, read_retention
from jobqueue.model.times import parse_duration

if TYPE_CHECKING:
    import yaml

FILE_NAME = "jobqueue.yaml"
SIZES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
SMALLEST_LOG = 4096
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings: durations in seconds, sizes in bytes. `types` None means all; `file` is the jobqueue.yaml that was read."""

    queue_dir: str = "./queue_dir"
    handlers: tuple[str, ...] = ()
    types: tuple[str, ...] | None = None
    concurrency: int = 1
    executor: str = "process"
    durability: str = "strict"
    settle_time: float = 2.0
    max_file_size: int = 1024**2
    max_log_size: int = 1024**2
    poll_interval: float = 1.0
    grace: float = 30.0
    cancel_grace: float = 5.0
    max_jobs_per_child: int | None = None
    max_memory: int | None = None
    log_level: str = "info"
    port: int = 8787
    schedules: tuple[dict[str, Any], ...] = ()
    retention: Retention = NO_RETENTION
    limits: dict[str, Limit] = field(default_factory=dict)
    budgets: dict[str, tuple[Budget, ...]] = field(default_factory=dict)
    file: Path | None = None

    def with_arguments(self, **given: Any) -> Config:
        """The settings with those that were given put over them; None counts as not given."""
        parsed: dict[str, Any] = {}
        for key, value in given.items():
            if key not in PARSERS:
                raise ConfigError(f"{key}: unknown setting{nearest(key, PARSERS)}")
            if value is not None:
                parsed[key] = parse(key, value, key)
        return replace(self, **parsed)


def load_config(start: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The settings that hold in a folder (the current one by default); raises `ConfigError`."""
    start = Path.cwd() if start is None else start.absolute()
    file = find_file(start)
    settings = {} if file is None else read_file(file, os.path.relpath(file, start))
    return Config(**(settings | read_environment(environ)), file=file)


def find_file(start: Path) -> Path | None:
    """The nearest jobqueue.yaml, here or above. A dangling link counts: it shall be reported, not skipped."""
    return next((folder / FILE_NAME for folder in (start, *start.parents) if os.path.lexists(folder / FILE_NAME)), None)


# The parsers: each takes a value and the name to blame, and raises with a message that begins with that name.


def wrong(name: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f"{name}: {value!r:.80} is not {expected}")


def text(value: Any, name: str) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value.strip():
        raise wrong(name, value, "a text")
    return value


def texts(value: Any, name: str) -> tuple[str, ...]:
    if isinstance(value, (str, os.PathLike)):
        value = [value]
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise wrong(name, value, "a list of texts")
    return tuple(text(item, f"{name}[{n}]") for n, item in enumerate(value))


def some_texts(value: Any, name: str) -> tuple[str, ...]:
    if not (items := texts(value, name)):
        raise ConfigError(f"{name}: an empty list; leave it out for all types")
    return items


def whole(low: int, high: int) -> Callable[[Any, str], int]:
    def parse_whole(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(name, value, f"a whole number; give {low} to {high}")
        if not low <= value <= high:
            raise ConfigError(f"{name}: {value} is out of range; give {low} to {high}")
        return value

    return parse_whole


def one_of(*words: str) -> Callable[[Any, str], str]:
    def parse_word(value: Any, name: str) -> str:
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in words:
            raise ConfigError(f"{name}: {value!r:.80} is not known{nearest(word, set(words))}; give {', '.join(words)}")
        return word

    return parse_word


def duration(value: Any, name: str) -> float:
    return parse_duration(value, name).total_seconds()


def positive_duration(value: Any, name: str) -> float:
    if (seconds := duration(value, name)) == 0:
        raise ConfigError(f'{name}: {value!r} leaves no time; give more than zero, like "1s"')
    return seconds


def size(value: Any, name: str) -> int:
    match = SIZE.fullmatch(str(value).strip().lower())
    if not isinstance(value, (int, str)) or match is None or match[2] not in SIZES:
        raise wrong(name, value, 'a size; give bytes, or a text such as "2 MiB"')
    if (count := int(float(match[1]) * SIZES[match[2]])) < 1:
        raise ConfigError(f"{name}: {value!r} is out of range; give at least 1 byte")
    return count


def log_size(value: Any, name: str) -> int:
    if (count := size(value, name)) < SMALLEST_LOG:
        raise ConfigError(f"{name}: {value!r} is out of range; give at least {SMALLEST_LOG} bytes")
    return count


def schedules(value: Any, name: str) -> tuple[dict[str, Any], ...]:
    from jobqueue.model.schedule_request import read_schedules  # a folder without schedules need not pay for it

    return read_schedules(value, name)


def retention(value: Any, name: str) -> Retention:
    return read_retention(value, name, size)


PARSERS: dict[str, Callable[[Any, str], Any]] = {
    "queue_dir": text,
    "handlers": texts,
    "types": some_texts,
    "concurrency": whole(1, 1000),
    "executor": one_of("process", "thread", "inline"),
    "durability": one_of("strict", "relaxed"),
    "settle_time": duration,
    "max_file_size": size,
    "max_log_size": log_size,
    "limits": read_limits,
    "budgets": read_budgets,
    "poll_interval": positive_duration,
    "grace": duration,
    "cancel_grace": duration,
    "max_jobs_per_child": whole(1, 1_000_000_000),
    "max_memory": size,
    "log_level": one_of(*LOG_LEVELS),
    "port": whole(0, 65535),
    "schedules": schedules,
    "retention": retention,
}


def parse(key: str, value: Any, name: str) -> Any:
    try:
        return PARSERS[key](value, name)
    except InvalidJob as error:  # what the model says of a duration
        raise ConfigError(str(error)) from None


# The environment

VARIABLES = {
    "JOBQUEUE_DIR": "queue_dir",
    "JOBQUEUE_PORT": "port",
    "JOBQUEUE_CONCURRENCY": "concurrency",
    "JOBQUEUE_LOG": "log_level",
}


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings in environment variables; an empty one counts as not set."""
    settings: dict[str, Any] = {}
    for variable, key in VARIABLES.items():
        if value := environ.get(variable, "").strip():
            number = key in ("port", "concurrency") and value.isascii() and value.isdigit() and len(value) < 20
            settings[key] = parse(key, int(value) if number else value, variable)
    return settings


# The file


def read_file(file: Path, shown: str) -> dict[str, Any]:
    """The settings in a jobqueue.yaml; `shown` is how messages name it."""
    import yaml  # here, because it costs milliseconds that a folder without the file need not pay

    content = read_text(file, shown)
    try:
        return read_settings(yaml.SafeLoader(content), file.parent, shown)
    except yaml.reader.ReaderError as error:
        line = content.count("\n", 0, error.position) + 1
        raise ConfigError(f"{shown}:{line}: not YAML: the character {chr(error.character)!r}; take it out") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{shown}:{line}: not YAML: {error.problem}") from None


def read_text(file: Path, shown: str) -> str:
    refuse_planted(file, shown)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown}:{line}: not UTF-8; save the file as UTF-8") from None


def refuse_planted(file: Path, shown: str) -> None:
    """In a folder like /tmp anybody may leave a jobqueue.yaml, and its handlers would run as whoever starts a worker."""
    if not hasattr(os, "geteuid") or not file.exists():
        return
    if file.stat().st_uid not in (os.geteuid(), 0) and file.parent.stat().st_mode & stat.S_IWOTH:
        raise ConfigError(
            f"{shown}: belongs to another user, in a folder that everybody may write to; "
            "copy it to a folder of your own, or take the folder's write permission from others"
        )


def read_settings(loader: yaml.SafeLoader, folder: Path, shown: str) -> dict[str, Any]:
    import yaml

    root = loader.get_single_node()
    if root is None or root.tag == "tag:yaml.org,2002:null":
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{shown}:{root.start_mark.line + 1}: not settings; write lines such as 'concurrency: 4'")
    settings: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in root.value:
        line = key_node.start_mark.line + 1
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        if key not in PARSERS:
            raise ConfigError(f"{shown}:{line}: {key}: unknown key{nearest(key, PARSERS)}")
        if key in lines:
            raise ConfigError(f"{shown}:{line}: {key}: given twice, first in line {lines[key]}; keep one")
        lines[key] = line
        value = read_value(loader, key, value_node, shown)
        if value is not None:
            settings[key] = place(key, value, folder)
    return settings


def read_value(loader: yaml.SafeLoader, key: str, node: yaml.Node, shown: str) -> Any:
    """The parsed value of one key; None where nothing stands behind it, which leaves the default."""
    at = f"{shown}:{node.start_mark.line + 1}"
    refuse_twice(node, key, shown)
    try:
        value = loader.construct_object(node, deep=True)
        return None if value is None else parse(key, value, key)
    except ConfigError as error:
        raise ConfigError(f"{shown}:{line_of(node, key, str(error))}: {error}") from None
    except (ValueError, OverflowError) as error:  # a date such as 2026-13-45
        raise ConfigError(f"{at}: {key}: {error}") from None


def entries(node: yaml.Node, name: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """What stands inside a value: how messages name it, where it begins, and its own value."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        return [(f"{name}.{key.value}", key, value) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(f"{name}[{number}]", item, item) for number, item in enumerate(node.value)]
    return []


def line_of(node: yaml.Node, name: str, message: str) -> int:
    """The line of the innermost entry that a message begins with: `schedules.nightly.cron: ...`."""
    line: int = node.start_mark.line + 1
    for inner, begins, value in entries(node, name):
        if message.startswith((f"{inner}:", f"{inner}.", f"{inner}[")):
            return max(begins.start_mark.line + 1, line_of(value, inner, message) if entries(value, inner) else 0)
    return line


def refuse_twice(node: yaml.Node, name: str, shown: str, around: frozenset[yaml.Node] = frozenset()) -> None:
    """YAML would let the second of two entries with the same key take the place of the first."""
    found: set[str] = set()
    around |= {node}
    for inner, begins, value in entries(node, name):
        problem = "given twice; keep one" if inner in found else "contains itself" if value in around else ""
        if problem:
            raise ConfigError(f"{shown}:{begins.start_mark.line + 1}: {inner}: {problem}")
        found.add(inner)
        refuse_twice(value, inner, shown, around)


def place(key: str, value: Any, folder: Path) -> Any:
    """A value from the file with its relative paths made absolute, from the file's folder on."""
    if key == "queue_dir":
        return beside(value, folder)
    if key == "handlers":
        return tuple(beside(name, folder) if name.endswith(".py") else name for name in value)
    return value


def beside(path: str, folder: Path) -> str:
    if path == ":memory:" or "://" in path:
        return path
    return os.path.normpath(folder / Path(path).expanduser())
