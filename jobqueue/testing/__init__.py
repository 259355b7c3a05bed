"""For the tests of applications: a queue of their own, a clock turned by hand, and jobs run without worker or sleep.

with temporary_queue(clock=FakeClock()) as queue:
    sign_up("ann@example.org")                       # the application calls enqueue("welcome", ...)
    assert_enqueued("welcome", {"to": "ann@example.org"})
    drain(handlers=[welcome])

`StoreContract` is the suite that every store must pass.
"""

from __future__ import annotations

from jobqueue.testing.clock import FakeClock
from jobqueue.testing.contract import StoreContract
from jobqueue.testing.queues import Drained, assert_enqueued, assert_not_enqueued, drain, temporary_queue

__all__ = ["Drained", "FakeClock", "StoreContract", "assert_enqueued", "assert_not_enqueued", "drain", "temporary_queue"]
