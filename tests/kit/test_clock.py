"""The clock of leases runs with the other one, and never backwards."""

from __future__ import annotations

import sys
import time

import pytest

from lightwork.kit.clock import monotonic_ns


def test_it_runs():
    before, other = monotonic_ns(), time.monotonic_ns()
    time.sleep(0.05)
    passed, others = monotonic_ns() - before, time.monotonic_ns() - other
    assert abs(passed - others) < 20_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="where suspended time is told apart")
def test_it_counts_suspended_time():
    assert abs(monotonic_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 1_000_000_000
