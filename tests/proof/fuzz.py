"""`make fuzz`: a coverage-guided fuzzer over the reader of job files, from a corpus that the generator makes.

What it finds is saved in `.fuzz/` as a file that `fuzz.py FILE` runs again; then it becomes a small test in
`test_hostile_findings.py`.
"""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from typing import Any

import atheris

FOLDER = Path(".fuzz")
CORPUS = FOLDER / "corpus"
IDS = ["x", "10-20261122T061500123456-7f3a9c2b", "new\nline", "latin-\udce9"]
root = Path(__file__).resolve().parents[2]


def load() -> tuple[Any, Any]:
    """The property and the generator, with the modules under test told apart branch by branch."""
    sys.path.insert(0, str(root))
    with atheris.instrument_imports(include=["jobqueue", "tests"]):
        return importlib.import_module("tests.proof.fuzz_property"), importlib.import_module("tests.proof.hostile_bytes")


def write_corpus(generator: Any) -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    samples = [generator.dumped(rng, document) for document in generator.GOOD] + [generator.mutated(rng) for _ in range(500)]
    for number, data in enumerate(samples):
        if len(data) <= 4096:
            (CORPUS / f"made-{number:03}").write_bytes(bytes([number % 256]) + data)
    words = [token for token in generator.TOKENS if len(token) < 40] + [f'"{field}"'.encode() for field in generator.FIELDS]
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in words)
    (FOLDER / "words").write_text("".join(f'"{word}"\n' for word in escaped))


def main() -> None:
    fuzz_property, generator = load()
    write_corpus(generator)

    def one(data: bytes) -> None:
        """The first byte chooses the name."""
        fuzz_property.holds(data[1:], IDS[data[0] % len(IDS)] if data else "x")

    def change(data: bytes, most: int, seed: int) -> bytes:
        """Every second change is one of the generator's, which knows what a job looks like; the others are libFuzzer's own."""
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return (data[:1] + generator.changed(rng, data[1:]))[:most]

    files = [argument for argument in sys.argv[1:] if Path(argument).is_file()]
    options = [f"-artifact_prefix={FOLDER}/", f"-dict={FOLDER / 'words'}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=4096"]
    places = [] if files else [str(CORPUS)]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], *places], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
