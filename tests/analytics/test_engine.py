"""Arrow's memory while the journal is read."""

from __future__ import annotations

import pyarrow as pa
import pytest

from jobqueue.analytics.engine import plain_memory


def test_arrow_has_its_own_memory_again_when_the_last_reader_is_done() -> None:
    before = pa.default_memory_pool().backend_name
    with plain_memory():
        with pytest.raises(KeyError), plain_memory():
            raise KeyError
        assert pa.default_memory_pool().backend_name == "system"
    assert pa.default_memory_pool().backend_name == before
