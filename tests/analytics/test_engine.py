"""Arrow's memory while the journal is read."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest

from jobqueue.analytics.engine import Plain, plain_memory


def test_arrow_has_its_own_memory_again_when_the_last_reader_is_done() -> None:
    before = pa.default_memory_pool().backend_name
    with plain_memory():
        with pytest.raises(KeyError), plain_memory():
            raise KeyError
        assert pa.default_memory_pool().backend_name == "system"
    assert pa.default_memory_pool().backend_name == before


def test_a_child_that_is_forked_meanwhile_has_arrows_own_memory_and_no_lock_of_its_parent() -> None:
    before = pa.default_memory_pool().backend_name
    with plain_memory(), Plain.lock:
        child = os.fork()
        if child == 0:
            free = not Plain.lock.locked() and Plain.asking == 0
            os._exit(0 if free and pa.default_memory_pool().backend_name == before else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
