"""A worker's shared file that is another user's: the agent reads the same in it, and outlives what is done to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightwork.node.service.ring import Ring
from lightwork.wire.outcome import REVOKED
from lightwork.wire.shared_file import MAGIC, REVOKE, STARTED, WORD_MAGIC
from tests.node.ring_writer import written


@pytest.mark.parametrize("theirs", [False, True])
def test_both_ends_see_the_same(tmp_path: Path, theirs: bool) -> None:
    ring = Ring(tmp_path / "1.ring", theirs=theirs)
    found: list[tuple[int, int, bytes]] = []
    with written(ring.path) as writer:
        assert writer.words[WORD_MAGIC] == MAGIC
        for token in range(1, 12_001):  # more than twice around, the bodies as well
            writer.words[STARTED] = token
            assert writer.put(token, token, 7, REVOKED if token % 5 == 0 else 0, b"%d" % token * (token % 60))
            if token % 1500 == 0:
                assert ring.unrecorded == 0
                assert len(ring.undrained()) == 1200
                for records in ring.drain(ring.tail):
                    at = 0
                    for number, length in zip(records.tokens, records.lengths, strict=True):
                        found.append((number, length, records.body[at : at + length]))
                        at += length
        ring.revoke(3)
        assert writer.words[REVOKE] == 3
        writer.words[STARTED] = 99
        assert (ring.started, ring.running, ring.unrecorded) == (99, 99, 99)
    ring.close()
    assert found == [
        (token, len(b"%d" % token * (token % 60)), b"%d" % token * (token % 60)) for token in range(1, 12_001)
    ]


def test_a_file_that_was_cut_off_is_a_file_without_truth(tmp_path: Path) -> None:
    """To touch a mapping of it would be the end of the agent."""
    ring = Ring(tmp_path / "1.ring", theirs=True)
    with written(ring.path) as writer:
        for token in (1, 2):
            writer.put(token, 1, 1, 0, b"x")
        ring.drain(ring.tail)
        os.truncate(ring.path, 0)
    assert (ring.started, ring.running, ring.tail, ring.undrained()) == (0, 0, 0, [])
    ring.claim(5)
    os.truncate(ring.path, 4096)
    with pytest.raises(ValueError, match="a ring with"):
        ring.drain(1 << 20)
    ring.close()
