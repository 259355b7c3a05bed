from pathlib import Path

from jobqueue.store.base import Store
from jobqueue.store.memory import MemoryStore
from jobqueue.testing import FakeClock, StoreContract


class TestMemoryStore(StoreContract):
    def make_store(self, tmp_path: Path, clock: FakeClock) -> Store:
        return MemoryStore(clock)
