from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.agent_double import KeeperDouble, WorkerDouble, keeper


@pytest.fixture(scope="package")
def _one_keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeeperDouble]:
    if sys.platform == "win32":
        pytest.skip("no fork here")
    with keeper(tmp_path_factory.mktemp("keeper")) as made:
        yield made


@pytest.fixture
def a_keeper(_one_keeper: KeeperDouble, tmp_path: Path) -> Iterator[KeeperDouble]:
    """The keeper that these tests share; what a test has started is ended with it, and nothing may be left."""
    with _one_keeper.borrowed(tmp_path):
        yield _one_keeper


@pytest.fixture
def worker(a_keeper: KeeperDouble) -> WorkerDouble:
    return a_keeper.worker()
