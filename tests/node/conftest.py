"""Nodes of their own: they share no memory with the clients."""

from __future__ import annotations

import pytest

from tests.node.lone import MB, Lone


@pytest.fixture(params=["keeper", "portable"])
def lone(request, tmp_path):
    """With room for 64 MB each way."""
    made = Lone(tmp_path, portable=request.param == "portable")
    yield made
    made.own.close()
    assert list(tmp_path.glob("arena-*")) == []


@pytest.fixture
def small(tmp_path):
    """With room for 4 MB each way."""
    made = Lone(tmp_path, 4 * MB)
    yield made
    made.own.close()
