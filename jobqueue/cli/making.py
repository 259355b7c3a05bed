"""`jobqueue init`: a queue folder that is ready for use."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import click

from jobqueue.cli.opening import chosen_path
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import echo_json, printable
from jobqueue.errors import QueueFolderError
from jobqueue.inert import shell_word

README = """\
# A queue folder

The folder a job lies in is its status: `pending/`, `claimed/`, `done/`, `failed/`.

To add a job without any program, put a JSON file into `pending/`. Only `type` is needed; `payload` holds the keyword
arguments of the handler:

    echo '{"type": "scan", "payload": {"repo": "octo/cat"}}' > pending/my-job.json

The name of the file (here `my-job`) is the id of the job: `jobqueue show my-job`. The name must end in `.json` and must not
begin with a dot. A file that is still being written is left alone until it rests. One that cannot be a job goes to
`failed/`, its bytes untouched, with the reason beside it in `failed/my-job.reason`; mend it and move it back to `pending/`.

More fields that a file may have: `priority` (0 to 99, the lower number runs first, default 10; or urgent, high, normal,
low), `run_after` and `expires_at` (ISO 8601 with a zone, like 2026-11-22T06:00:00Z), `max_attempts`, `timeout` (seconds, or
"10m"), `after` (ids to wait for), `idempotency_key`, `name`, `project`, `batch`, `tags`.

Files in `pending/` may be copied, moved and edited; leave those in `claimed/` and in `.jobqueue/` to the workers.
"""

CONFIG = """\
# Settings of jobqueue. An argument goes before an environment variable, that before this file.
# Relative paths are relative to this file. Durations are seconds, or texts such as 30s, 10m, 1h30m.

# Where the jobs lie (environment: JOBQUEUE_DIR).
queue_dir: {queue_dir}

# The modules or files with the handlers that a worker runs.
# handlers: [handlers.py]

# Serve only these types, and leave jobs of all others pending.
# types: [scan, export]

# Jobs at a time in one worker (environment: JOBQUEUE_CONCURRENCY).
# concurrency: 1

# Where handlers run: process (a crash or a timeout ends only its job), thread or inline.
# executor: process

# strict: a job that was acknowledged survives a power cut. relaxed: it survives any crash of a process.
# durability: strict

# How long a dropped file that is no job yet may rest before it counts as broken.
# settle_time: 2s

# The largest file that can be a job.
# max_file_size: 1 MiB

# The most that is kept of what one job prints and logs: its beginning and its end.
# max_log_size: 1 MiB

# How often jobs start, and how many run at a time, for all workers together; "*" is the whole queue.
# limits:
#   fetch: {{rate: 30/m, concurrency: 2}}

# How much the jobs of a type may use of what they count, in an hour, a day, a week or a month (in UTC).
# budgets:
#   extract: {{tokens: 1000000, per: day}}

# How often a worker looks for itself, should it not have been told that something came.
# poll_interval: 1s

# How long running jobs may go on when a worker is told to stop.
# grace: 30s

# How long a cancelled job may heed its mark, and then SIGTERM, before it is ended.
# cancel_grace: 5s

# A process that runs jobs is replaced after so many of them, or when it holds more memory than this after one.
# max_jobs_per_child: 1000
# max_memory: 500 MB

# debug, info, warning or error (environment: JOBQUEUE_LOG).
# log_level: info

# Finished jobs go to the trash after a time, or beyond a number or size; without a rule they stay for ever.
# retention:
#   done: 7d
#   failed: {{age: 30d, count: 10000, size: 1GiB}}
#   journal: 400d  # what is older goes for good, and out of the metrics

# Jobs that workers add at set times: names, and below each cron (or every), timezone, type, payload and job options.
# schedules:
#   nightly: {{type: report, cron: "0 6 * * mon-fri", timezone: Europe/Berlin, payload: {{}}, priority: high}}

# The port of the HTTP server (environment: JOBQUEUE_PORT).
# port: 8787
"""

EPILOG = """
\b
Examples:
  jobqueue init
  jobqueue init /srv/queue
  jobqueue init queue_dir --config

--json: {path, made, tightened, readme, config}; the last two are the paths that were written, or null.
"""


@click.command(epilog=EPILOG)
@click.argument("path", required=False, type=click.Path())
@click.option("--config", "with_config", is_flag=True, help="Write a commented jobqueue.yaml into the current folder too.")
@json_option
@queue_option
def init(path: str | None, with_config: bool, as_json: bool) -> None:
    """Make a queue folder, and say what to do next.

    Only its owner may read and write it: in a folder of yours that exists, others lose all rights.
    """
    from jobqueue.queue.config import load_config
    from jobqueue.queue.queue import Queue

    if path is not None and chosen_path() is not None:
        raise click.UsageError("give the folder once: as PATH or with --queue")
    config = load_config()
    folder = path or chosen_path() or config.queue_dir
    if folder == ":memory:":
        raise click.UsageError(":memory: is no folder; name one, like: jobqueue init queue_dir")
    made = not os.path.lexists(folder)
    tightened = [] if made else tighten(Path(folder))
    with Queue(folder, config=config) as queue:
        place = queue.store.url
    tightened += tighten(Path(folder))
    readme = write_once(Path(folder, "README.md"), README)
    settings = Path("jobqueue.yaml")
    written = write_once(settings, CONFIG.format(queue_dir=json.dumps(folder))) if with_config else None
    if as_json:
        echo_json({"path": place, "made": made, "tightened": tightened, "readme": readme, "config": written})
        return
    click.echo(f"{'made' if made else 'ready'}: {printable(place)}")
    for name in tightened:
        click.echo(f"now for you alone: {printable(name)}")
    if with_config:
        click.echo(f"wrote {settings}" if written else f"{settings} exists already and was left as it is")
    click.echo(next_steps(folder, usual=folder == config.queue_dir or written is not None))


def tighten(folder: Path) -> list[str]:
    """Takes all rights from others, in the folder and the folders in it, where they are ours."""
    changed = [str(folder)] if make_private(folder) else []
    for child in sorted(folder.iterdir()) if folder.is_dir() else ():
        if child.name in ("pending", "claimed", "done", "failed", ".jobqueue") and make_private(child):
            changed.append(str(child))
    return changed


def make_private(folder: Path) -> bool:
    """Whether that was needed. A symlink is not followed, and the folder of somebody else is left alone."""
    try:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False  # opening the queue says what is wrong with it
    try:
        seen = os.fstat(file)
        loose = seen.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if loose and seen.st_uid == os.geteuid():
            os.fchmod(file, stat.S_IMODE(seen.st_mode) & ~loose)
            return True
        return False
    finally:
        os.close(file)


def write_once(path: Path, content: str) -> str | None:
    """Writes a file unless its name is taken; the path if it was written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return None
    except OSError as error:
        raise QueueFolderError(f"{path}: cannot be written: {error.strerror}") from None
    return str(path)


def next_steps(folder: str, usual: bool) -> str:
    option = "" if usual else f" --queue {shell_word(folder)}"
    return "\n".join(
        (
            "next:",
            f"  jobqueue enqueue{printable(option)} scan --set repo=octo/cat",
            f"  jobqueue worker{printable(option)} --handlers handlers.py",
        )
    )
