"""The suite that every store must pass."""

from __future__ import annotations

from jobqueue.testing.contract.adding import Adding
from jobqueue.testing.contract.claims import Claims
from jobqueue.testing.contract.endings import Endings
from jobqueue.testing.contract.entries import Entries
from jobqueue.testing.contract.keys import Keys
from jobqueue.testing.contract.limits import Limits
from jobqueue.testing.contract.lists import Lists
from jobqueue.testing.contract.notes import Notes
from jobqueue.testing.contract.order import Order
from jobqueue.testing.contract.parents import Parents
from jobqueue.testing.contract.places import Places
from jobqueue.testing.contract.plans import Plans
from jobqueue.testing.contract.schedules import Schedules
from jobqueue.testing.contract.verbs import Verbs
from jobqueue.testing.contract.workers import Workers


class StoreContract(
    Adding, Order, Claims, Endings, Entries, Verbs, Plans, Lists, Parents, Places, Keys, Limits, Notes, Schedules, Workers
):
    """What every store promises, as a pytest class: subclass it as `Test...` and write `make_store`.

    Each test has three paragraphs: given, when, then. A test of a feature that the store does not name is skipped.
    """
