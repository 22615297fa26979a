"""Tests on a network of namespaces (tests/support/lab.py): skipped, with a line, where there can be none."""

from __future__ import annotations

import pytest

from tests.support.lab import needs_lab


@pytest.fixture(scope="session", autouse=True)
def lab_possible() -> None:
    """Before any other fixture."""
    needs_lab()
