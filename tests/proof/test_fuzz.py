"""Bytes that anybody may drop: a job, or refused with one short line; never anything else. `make fuzz` goes on for longer."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobqueue.errors import UnreadableJob
from jobqueue.store.codec import decode

from . import hostile_oracle
from .fuzz_property import holds
from .hostile_bytes import BYTES, FIELDS, GOOD, ODD, TOKENS, dumped, mutated

SEED = int(os.environ.get("HOSTILE_SEED") or random.SystemRandom().randrange(1 << 32))
NAMES = ["x", "10-20261122T061500123456-7f3a9c2b", "new\nline", os.fsdecode(b"latin-\xe9"), "n" * 250, "x~2"]

texts = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from(ODD)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.sampled_from(FIELDS), inner, max_size=4)
)
documents = st.dictionaries(st.sampled_from(FIELDS) | texts, values, max_size=6)
jobs = st.builds(lambda job, changes: job | changes, st.sampled_from(GOOD), documents)
"""A good one with some of its fields changed: most of these get past the first check."""

many = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@many
@given(st.one_of(jobs, documents, values), st.sampled_from(NAMES))
def test_any_document_is_a_job_or_refused_in_one_line(document: Any, name: str) -> None:
    holds(json.dumps(document).encode("utf-8", "surrogatepass"), name)


@many
@given(st.binary(max_size=200) | st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join))
def test_any_bytes_are_a_job_or_refused_in_one_line(data: bytes) -> None:
    holds(data)


@many
@given(st.sampled_from(GOOD), st.randoms(use_true_random=False), st.lists(st.sampled_from(BYTES), min_size=1, max_size=5))
def test_a_good_job_with_changed_bytes_is_a_job_or_refused_in_one_line(document: Any, rng: Any, changes: list[Any]) -> None:
    data = dumped(rng, document)
    for change in changes:
        data = change(rng, data)
    holds(data)


def test_thousands_of_mutations_are_jobs_or_refused_in_one_line() -> None:
    print(f"HOSTILE_SEED={SEED}")
    rng = random.Random(SEED)
    accepted = 0
    for number in range(4000):
        data = mutated(rng)
        try:
            accepted += holds(data, rng.choice(NAMES))
        except Exception as error:
            raise AssertionError(f"HOSTILE_SEED={SEED}, mutation {number}: {data[:2000]!r}") from error
    assert 400 < accepted < 3600  # the mutations are neither all harmless nor all plainly broken


@pytest.mark.parametrize("document", GOOD)
def test_the_good_ones_are_good(document: Any) -> None:
    assert holds(json.dumps(document).encode())


REFUSED = [
    *(
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"{,}",
        b'{"a":1,}',
        b'{"a" 1}',
        b"[1 2]",
        b"01",
        b"1.",
        b".1",
        b"+1",
        b"1e",
        b"NaN",
        b"-Infinity",
    ),
    *(
        b"1e999",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\t"',
        b'"\\x"',
        b'{"a":1,"a":2}',
        b"1 2",
        b"//",
        b"\xff",
        b'"\xed\xa0\x80"',
    ),
    *(
        b"tru",
        b"nulll",
        b"'a'",
        b"[" * 200 + b"]" * 200,
        b"9" * 4301,
        b"]",
        b"\0",
        b"{}\0",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"\x0b1",
    ),
]
ACCEPTED = [
    *(
        b"{}",
        b" [ ] ",
        b"\xef\xbb\xbf1",
        b"-0",
        b"-0.0e-0",
        b"1E+5",
        b'"\\ud83d\\ude00"',
        b'"\x7f\xe2\x80\xa8"',
        b'{"":[{}]}',
        b"null",
    ),
    *(b'{"a":{"a":1}}', b"[" * 111 + b"]" * 111, b"9" * 4000, b'"\\/\\u0000"', b"5e-324", b"1e-999", b"\r\n\ttrue"),
]


@pytest.mark.parametrize("data", REFUSED)
def test_the_second_reader_refuses(data: bytes) -> None:
    with pytest.raises(hostile_oracle.Refused):
        hostile_oracle.read(data)
    with pytest.raises(UnreadableJob):
        decode(data)


@pytest.mark.parametrize("data", ACCEPTED)
def test_the_second_reader_accepts(data: bytes) -> None:
    assert hostile_oracle.read(data) == decode(data)
