"""What a node of its own finds when its predecessor was killed."""

from __future__ import annotations

import asyncio
import sys

from lightwork.node.service.directories import Directories
from lightwork.node.service.own_arenas import OwnArenas
from lightwork.node.service.ring import Ring
from lightwork.node.service.stale import settle
from lightwork.wire.messages import Died, Ended
from lightwork.wire.outcome import APART
from lightwork.wire.shared_file import RingWriter
from tests.node.lone import MB


def test_a_value_in_a_file_outlives_its_agent(tmp_path):
    directories = Directories(tmp_path)
    directories.make()
    ring = Ring(directories.ring(1))
    writer = RingWriter(ring._view)
    for token in (5, 6):
        assert writer.put(token, 1, 1, APART, b"")
    writer.words.release()
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
