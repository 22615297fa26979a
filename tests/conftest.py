"""Tests that start whole clusters or many processes are `slow`: `make test` runs them, `make check` does not."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
INTEGRATION = (
    "client/test_ends",
    "client/test_waiting",
    "node/test_growth",
    "node/test_faults",
    "node/test_nurseries",
    "e2e",
    "examples",
    "worker",
    "node/test_arena",
    "node/test_deaths",
    "node/test_files",
    "node/test_jobs",
    "node/test_limits",
    "node/test_output",
    "node/test_restart",
    "node/test_setup",
    "cli/test_run",
    "cli/test_demo",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them by where they are."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else ""
        if place.startswith(INTEGRATION) and not item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.slow)
