"""How clusters are run in these tests: hosted (the default), apart, and with the portable seams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwork.security.secret import generate
from tests.e2e.helpers import nothing_left
from tests.support.nodes import Start, nodes

WAYS = {
    "hosted": {},
    "apart": {"LIGHTWORK_APART": "1"},
    "portable": {"LIGHTWORK_PORTABLE": "1", "LIGHTWORK_NO_UVLOOP": "1"},
}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way in turn; no process is left afterwards."""
    with nothing_left(WAYS[request.param]):
        yield request.param


@pytest.fixture
def hosted() -> Iterator[str]:
    """The default way; no process is left afterwards."""
    with nothing_left({}) as mark:
        yield mark


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """start(name, slots=2) -> a real `lightwork node` with our secret; see tests/support/nodes.py."""
    monkeypatch.setenv("LIGHTWORK_SECRET", generate())
    with nodes(tmp_path) as start:
        yield start
