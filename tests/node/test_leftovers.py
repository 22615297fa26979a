"""What a node of its own finds when its predecessor was killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from lightwork.node.service.directories import Directories
from lightwork.node.service.keeper_spawn import BELOW
from lightwork.node.service.own_arenas import OwnArenas
from lightwork.node.service.ring import Ring
from lightwork.node.service.stale import settle
from lightwork.wire.messages import Died, Ended
from lightwork.wire.outcome import APART
from tests.node.lone import MB
from tests.node.ring_writer import written
from tests.node.scheduler_double import alive
from tests.node.station_double import until


def test_a_value_in_a_file_outlives_its_agent(tmp_path):
    directories = Directories(tmp_path)
    directories.make()
    ring = Ring(directories.ring(1))
    with written(ring.path) as writer:
        for token in (5, 6):
            assert writer.put(token, 1, 1, APART, b"")
    ring.close()
    (directories.spool / "5").mkdir()
    (directories.spool / "5" / "value").write_bytes(b"saved")
    news = [message for message, _ in asyncio.run(settle(directories, sys.executable))]
    [ended] = [message for message in news if isinstance(message, Ended)]
    [lost] = [message for message in news if isinstance(message, Died)]
    assert (ended.tokens, ended.statuses, ended.files[0][1][0].size) == ([5], [APART], 5)
    assert (directories.spool / "5" / "0").read_bytes() == b"saved"
    assert lost.tokens == [6]


def test_files_of_arenas_that_a_killed_node_left_go(tmp_path):
    (tmp_path / "arena-left").write_bytes(b"x")
    own = OwnArenas(tmp_path, portable=True, capacity=MB)
    assert len(list(tmp_path.glob("arena-*"))) == 2
    own.close()
    assert list(tmp_path.iterdir()) == []


LAST_BIRTH = """
import os, sys, time
print(flush=True)
time.sleep(0.02)
if os.fork():
    os._exit(0)
os.setsid()
print(os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the environment of processes is read in /proc")
def test_a_worker_that_was_forked_while_leftovers_were_looked_for(tmp_path):
    """Its parent was seen, and was gone before it could be killed."""
    directories = Directories(tmp_path)
    directories.make()
    (tmp_path / "processes").write_text("below 1:2\n")
    keeper = subprocess.Popen(
        [sys.executable, "-Sc", LAST_BIRTH], stdout=subprocess.PIPE, env={**os.environ, BELOW: "1:2"}
    )
    assert keeper.stdout is not None
    keeper.stdout.readline()
    asyncio.run(settle(directories, sys.executable))
    keeper.wait()
    worker = keeper.stdout.readline()
    asyncio.run(until(lambda: not worker or not alive(int(worker))))
