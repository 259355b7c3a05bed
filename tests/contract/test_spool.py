from pathlib import Path

from jobqueue.store.base import Store
from jobqueue.store.spool import Spool
from jobqueue.testing import FakeClock, StoreContract


class TestSpool(StoreContract):
    def make_store(self, tmp_path: Path, clock: FakeClock) -> Store:
        return Spool(tmp_path / "q", clock=clock, durability="relaxed", max_file_size=16 << 20)
