"""Every row of the table "Dropped files" as a maker of instances: what to put into pending/, and what must become of it."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .hostile_bytes import ODD_TEXTS, dumped, good, mutated
from .hostile_drop import Drop, bad, sane, write

LIMIT = 1 << 20


def half_written(rng: random.Random, n: int) -> Drop:
    whole, _ = sane(rng, n)
    data = rng.choice(
        [whole[: rng.randint(1, len(whole.rstrip()) - 1)], b"", rng.choice([b" ", b"\n", b"\t"]) * n, b"\0" * (n + 1)]
    )
    return bad("half written", f"half-{n}.json", data)


def ignored(rng: random.Random, n: int) -> Drop:
    forms = [".x{}.json", ".{}", "x{}.json.swp", "x{}.json~", "x{}.tmp", "x{}.json.part", "#x{}.json#", "#{}.json", "4913{}"]
    forms += [
        ".nfs{}",
        "README{}",
        "x{}.JSON",
        "x{}.jsonl",
        "x{}json",
        "x{}.json.gz",
        "x{}.json ",
        ".~lock.x{}.json#",
        "x{}.json\n",
    ]
    data, _ = sane(rng, n)
    return Drop(
        "ignored names", rng.choice(forms).format(n), "ignored", write(data if rng.random() < 0.5 else b"{"), closed=True
    )


def not_utf_8_or_not_json(rng: random.Random, n: int) -> Drop:
    whole, _ = sane(rng, n)
    text = whole.decode()
    encoding = rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-7-ish", "cp037"])
    forms = [
        (text.encode(encoding, "replace") if encoding != "utf-7-ish" else b"+AHs-" + whole),
        whole.replace(b"scan", rng.choice([b"sc\xffan", b"sc\xc0\x80an", b"sc\xed\xa0\x80an", b"\xf5scan"])),
        gzip.compress(whole),
        whole + rng.choice([b"// end", b"\n# end", b"/* */"]),
        rng.choice([b"// start\n", b"/* */", b"# start\n"]) + whole,
        whole + rng.choice([b"zzz", b"\0", b"{}", b"\n" + whole, b",", b"]", b"\xef\xbb\xbf"]),
        codecs.BOM_UTF8 * 2 + whole,
        whole.replace(b'"', b"'"),
        whole[:-1] + b",}",
    ]
    return bad("encodings, comments, two documents", f"strange-{n}.json", rng.choice(forms))


def byte_order_mark(rng: random.Random, n: int) -> Drop:
    data, payload = sane(rng, n)
    return Drop("byte order mark", f"bom-{n}.json", "runs", write(codecs.BOM_UTF8 + data), payload)


def numbers_and_keys(rng: random.Random, n: int) -> Drop:
    value = rng.choice(
        [
            *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "-" + "9" * 5000, '"\\ud800"', '"\\udc00\\ud800"'),
            *('{"a": 1, "a": 1}', '{"\\udfff": 1}', "01", "0x1", "1.", "+1", '"\\x41"', '"\t"', '"a\nb"'),
        ]
    )
    for _ in range(rng.randint(0, 3)):
        value = rng.choice(['{{"k": {}}}', "[1, {}]"]).format(value) if "{" not in value else f"[{value}]"
    place = rng.choice(['"payload": {{"x": {}}}', '"unknown": {}', '"result": {}']).format(value)
    return bad("numbers and keys", f"number-{n}.json", f'{{"type": "scan", {place}}}'.encode())


def nested(rng: random.Random, n: int) -> Drop:
    depth = rng.choice([112, 500, 990, 5000, 100_000])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    inner = "1" if closing == "}" else ""
    text = opening * depth + inner + closing * depth
    return bad(
        "nested", f"deep-{n}.json", f'{{"type": "scan", "payload": {{"x": {text}}}}}'.encode() if depth < 900 else text.encode()
    )


def too_large(rng: random.Random, n: int) -> Drop:
    if rng.random() < 0.2:
        return bad("too large", f"large-{n}.json", b'{"type": "scan", "payload": {"x": "' + b"x" * LIMIT + b'"}}')

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(b'{"type": "scan"}')
            file.truncate(rng.choice([LIMIT + 1, 1 << 30, 256 << 30]))

    return Drop("too large", f"sparse-{n}.json", "aside", make, closed=True)


def symlink(rng: random.Random, n: int) -> Drop:
    name = f"link-{n}.json"
    target = rng.choice(
        ["/dev/zero", "/dev/tty", name, "/nonexistent", "/etc/passwd", "../..", ".", "../beside", "x" * 300, "/proc/self/mem"]
    )
    return Drop("symlink", name, "aside", lambda path: path.symlink_to(target), closed=True)


def hard_link(rng: random.Random, n: int) -> Drop:
    data, _ = sane(rng, n)

    def make(path: Path) -> None:
        other = path.parent.parent.parent / f"linked-{n}"
        other.write_bytes(data)
        os.link(other, path)

    return Drop("hard link", f"hard-{n}.json", "aside", make, closed=True)


def special(rng: random.Random, n: int) -> Drop:
    def bind(path: Path) -> None:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(f"/proc/self/fd/{folder}/{path.name}")  # the path of a socket may be 107 bytes long
        finally:
            os.close(folder)

    def device(path: Path) -> None:
        kind, number = rng.choice([(stat.S_IFCHR, os.makedev(1, 5)), (stat.S_IFBLK, os.makedev(7, 200))])
        try:
            os.mknod(path, kind | 0o600, number)
        except OSError:  # only root may, and not in every container
            os.mkfifo(path)

    kinds: list[Callable[[Path], None]] = [os.mkfifo, bind, device]
    return Drop("FIFO, socket, device", f"special-{n}.json", "aside", rng.choice(kinds), closed=True)


def folder(rng: random.Random, n: int) -> Drop:
    def make(path: Path) -> None:
        path.mkdir()
        (path / "inner.json").write_bytes(b'{"type": "scan"}')

    return Drop("folder", f"folder-{n}.json", "left", make, closed=True)


ODD_NAMES = [
    *("one\n{}.json", "-rf{}.json", "$(touch pwned){}.json", "*?[{}].json", "  {}  .json", "'\";`{}.json"),
    *("\x1b[31m{}.json", "%s%n%d{}.json", "report~{}.json", "{}.json.json", "{}..json", "\u202e{}.json"),
    *("\u2028{}.json", "\x85{}.json", "~{}.json", "n" * 244 + "{:06}.json", "é" * 122 + "{:06}.json"),
    *("漢" * 81 + "{:06}.json", "10-20261399T996199123456d-{:08}.json", "10-20261122T061500123456-{:08}.json"),
    *(os.fsdecode(b"\xff\xfe-\xe9") + "{}.json", "\U0001f600{}.json", "NUL{}.json"),
]


def odd_name(rng: random.Random, n: int) -> Drop:
    name = rng.choice(ODD_NAMES).format(n)
    data, payload = sane(rng, n)
    return Drop("odd names", name, "runs", write(data), payload) if rng.random() < 0.6 else bad("odd names", name, b"{")


def normal_form(rng: random.Random, n: int) -> Drop:
    """Every second one is the same text as the one before it, in other bytes."""
    name = unicodedata.normalize("NFC" if n % 2 else "NFD", f"café-{n // 2}.json")
    data, payload = sane(rng, n)
    return Drop("normal forms", name, "runs", write(data), payload)


def odd_id(rng: random.Random, n: int) -> Drop:
    data, payload = sane(rng, n, id=rng.choice([*ODD_TEXTS, None, 7, ["x"], {"a": 1}, f"id-{n}"]))
    return Drop("ids", f"id-{n}.json", "runs", write(data), payload)


def odd_type(rng: random.Random, n: int) -> Drop:
    type = rng.choice(
        ["../../etc/passwd", "/bin/sh", "os.system", "a\0b", "x" * 10_000, "a\nCRITICAL b", "jobqueue.worker:main"]
    )
    if rng.random() < 0.5:
        return Drop("types", f"type-{n}.json", "job", write(json.dumps({"type": type}).encode()))
    wrong = rng.choice([None, 7, [], {}, "", "  ", "x" * 20_001, True])
    return bad("types", f"type-{n}.json", json.dumps({"type": wrong}).encode())


OUT_OF_RANGE: list[dict[str, Any]] = [
    *({"max_attempts": 10**6}, {"max_attempts": "3"}, {"timeout": -1}, {"timeout": "soon"}, {"priority": -5}),
    *({"priority": 100}, {"run_after": "tomorrow"}, {"expires_at": 7}, {"tags": 7}, {"after": {}}, {"payload": [1]}),
    *(
        {"backoff": {"base": -1}},
        {"on_conflict": "perhaps"},
        {"name": 7},
        {"project": ""},
        {"key_scope": "for ever"},
        {"log_level": "loud"},
    ),
]


def forged(rng: random.Random, n: int) -> Drop:
    fields: dict[str, Any] = {
        "attempts": 99,
        "owner": "worker-1",
        "locked_by": "worker-1",
        "status": "done",
        "progress": 100,
        "history": [{}],
        "result": {"forged": True},
        "finished_at": "2020-01-01T00:00:00Z",
        "error": {"reason": "cancelled"},
        "artifacts": 1,
    }
    chosen = {key: fields[key] for key in rng.sample(sorted(fields), rng.randint(1, len(fields)))}
    data, payload = sane(rng, n, **chosen)
    if rng.random() < 0.5:
        return Drop("forged", f"forged-{n}.json", "runs", write(data), payload)
    wrong = rng.choice(OUT_OF_RANGE)
    return bad("forged", f"forged-{n}.json", sane(rng, n, **chosen, **wrong)[0])


def forged_by_us(rng: random.Random, n: int) -> Drop:
    """A file that says that this package wrote it: a request to run it again, whatever outcome it carries."""
    more: dict[str, Any] = {"id": f"ours-{n}", "written_by": "w", "finished_at": "2020-01-01T00:00:00Z", "attempts": 3}
    more["history"] = [
        {"number": k, "outcome": "failed", "claimed_at": "2020-01-01T00:00:00+14:00"} for k in range(rng.choice([0, 3, 2000]))
    ]
    data, payload = sane(rng, n, **more)
    return Drop("forged outcomes", f"ours-{n}.json", "runs", write(data), payload)


def untouchable(rng: random.Random, n: int) -> Drop:
    """Immutable where this user can make it so, else unreadable; where root can do neither, a folder serves."""
    data, _ = sane(rng, n)
    data = data if rng.random() < 0.5 else b"{"

    def make(path: Path) -> None:
        write(data)(path)
        if os.geteuid() == 0 and not (chattr(path, "+i") and chattr(path, "-i")):
            path.unlink()
            path.mkdir()

    def fix(path: Path) -> None:
        chattr(path, "+i") if os.geteuid() == 0 else path.chmod(0)

    return Drop("untouchable", f"fixed-{n}.json", "left", make, fix=fix, undo=lambda path: chattr(path, "-i"))


def chattr(path: Path, flag: str) -> bool:
    return shutil.which("chattr") is not None and subprocess.run(["chattr", flag, path], capture_output=True).returncode == 0


def odd_mtime(rng: random.Random, n: int) -> Drop:
    data, payload = sane(rng, n)
    runs = rng.random() < 0.5

    def make(path: Path) -> None:
        beside = path.parent.parent / "beside"
        beside.write_bytes(data if runs else b"{")
        when = rng.choice([0, -1, 4_070_908_800, 2**33, 1])
        os.utime(beside, (when, when))
        beside.rename(path)

    return Drop("mtime", f"mtime-{n}.json", "runs" if runs else "aside", make, payload if runs else None)


def name_again(rng: random.Random, n: int) -> Drop:
    """The name of a job that has ended already, or of a file that was set aside."""
    data, payload = sane(rng, n)
    status = rng.choice(["done", "failed"])
    runs = rng.random() < 0.5

    def make(path: Path) -> None:
        write(b'{"id": "again-%d", "type": "old", "written_by": "w"}' % n)(path.parent.parent / status / path.name)
        write(data if runs else b"{")(path)

    return Drop("the same name", f"again-{n}.json", "runs" if runs else "aside", make, payload if runs else None)


def large_and_valid(rng: random.Random, n: int) -> Drop:
    """Within the limit, and as much work as it can be."""
    value: Any = rng.choice(
        [
            *({f"k{k}": k for k in range(20_000)}, {"k" * 100_000: [[] for _ in range(20_000)]}, {"x": [1.5] * 50_000}),
            *({"x": [10**3999] * 50}, {"é\n" * 20_000: "\u2028" * 20_000}),
        ]
    )
    field = rng.choice(["payload", "unknown", "extra"])
    return Drop("large and valid", f"heavy-{n}.json", "runs", write(json.dumps({"type": "scan", field: value}).encode()))


def mutation(rng: random.Random, n: int) -> Drop:
    return Drop("mutations", f"mutation-{n}.json", "any", write(mutated(rng)))


def good_drop(rng: random.Random, n: int) -> Drop:
    data, payload = sane(rng, n)
    return Drop("good", f"good-{n}.json", "runs", write(data), payload)


def some_good(rng: random.Random, n: int) -> Drop:
    return Drop("good of all kinds", f"kind-{n}.json", "job", write(dumped(rng, good(rng))))


ROWS: list[tuple[Callable[[random.Random, int], Drop], int]] = [
    *((half_written, 8), (ignored, 6), (not_utf_8_or_not_json, 10), (byte_order_mark, 2), (numbers_and_keys, 8), (nested, 2)),
    *((too_large, 3), (symlink, 6), (hard_link, 3), (special, 5), (folder, 3), (odd_name, 10), (normal_form, 4), (odd_id, 5)),
    *((odd_type, 5), (forged, 8), (forged_by_us, 4), (untouchable, 1), (odd_mtime, 4), (name_again, 4), (mutation, 30)),
    *((some_good, 4), (good_drop, 15)),
]
"""Each maker with its share. Those of `large_and_valid` are dropped apart: their number must not grow with the others."""


def drops(rng: random.Random, count: int) -> list[Drop]:
    makers = rng.choices([maker for maker, _ in ROWS], [share for _, share in ROWS], k=max(0, count - len(ROWS) - 5))
    made = [maker(rng, n) for n, maker in enumerate([maker for maker, _ in ROWS] + [large_and_valid] * 5 + makers)]
    rng.shuffle(made)
    return made
