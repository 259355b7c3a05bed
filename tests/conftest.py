"""Failures inside the contract suite read as well as those in a test file."""

import pytest

pytest.register_assert_rewrite("jobqueue.testing.contract")
