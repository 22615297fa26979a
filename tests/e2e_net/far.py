"""For a Python in a client's namespace: every JobCluster has its jobs on other machines, LIGHTWORK_TEST_NODES.

pytest -p tests.e2e_net.far ...                                   tests of tests/e2e
LIGHTWORK_TEST_RUN=tests.e2e_net.far python tests/payload/kinds.py   the table of kinds, from a program
"""

from __future__ import annotations

import os
from typing import Any

import lightwork
from tests.e2e import clusters

NODES = os.environ["LIGHTWORK_TEST_NODES"].split()
SECRET = os.environ["LIGHTWORK_SECRET"]  # tests may take it out of the environment
JobCluster = lightwork.JobCluster


def far(*args: Any, slots: int = 0, **kwargs: Any) -> lightwork.JobCluster:
    """A cluster of those nodes; `slots`: so many of each one's are used."""
    nodes = [lightwork.NodeAllocate(node, cpus=slots) for node in NODES]
    return JobCluster(*args, nodes=nodes, secret=SECRET, **kwargs)


lightwork.JobCluster = far  # type: ignore[assignment,misc]
run = clusters.run
