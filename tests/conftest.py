"""Tests that start whole clusters or many processes are `slow`: `make test` runs them, `make check` does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # timing never decides a test
settings.load_profile("house")

HERE = Path(__file__).parent
INTEGRATION = (
    "client/test_durable_ends",
    "client/test_durable_real",
    "client/test_ends",
    "client/test_shared",
    "client/test_waiting",
    "node/test_growth",
    "node/test_faults",
    "node/test_nurseries",
    "e2e",
    "examples",
    "local",
    "worker",
    "node/test_apart",
    "node/test_arena",
    "node/test_broken_streams",
    "node/test_deaths",
    "node/test_durable",
    "node/test_files",
    "node/test_jobs",
    "node/test_limits",
    "node/test_output",
    "node/test_restart",
    "node/test_setup",
    "node/test_station",
    "cli/test_node",
    "cli/test_run",
    "cli/test_scheduler",
    "cli/test_demo",
    "house/test_lab",
    "node/test_interpreters_search",
    "client/test_shared",
    "client/test_durable_ends",
    "node/test_kept",
    "scheduler/test_journal",
    "store/test_journal_full",
    "store/test_journal_damage",
    "chaos/test_chaos",
    "chaos/test_flat",
    "transport/test_beacon",
    "transport/test_crowds",
    "transport/test_hostile",
    "transport/test_wrong_addresses",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them by where they are."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else ""
        if place.startswith(INTEGRATION) and not item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def no_credential(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A secret that the user of this machine has saved must not make tests look at the network."""
    for name in [
        name for name in os.environ if name.startswith("LIGHTWORK_") and not name.startswith("LIGHTWORK_TEST_")
    ]:
        del os.environ[name]
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
