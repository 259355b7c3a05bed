"""Failures inside the contract suite read as well as those in a test file."""

import signal

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's affair.
settings.register_profile("whatever it takes", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever it takes")

# Whoever starts the tests in the background of a shell has them ignore Ctrl-C, and so would every process they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("jobqueue.testing.contract")
