"""Whatever nodes ask for, in whatever order things come: each file is asked for once at a time, nothing that is read
goes, and what is kept is within the quota as soon as it can be."""

from __future__ import annotations

from hypothesis import given, strategies as some

from lightwork.relay.core import commands as do, events as on
from lightwork.relay.core.core import Core

QUOTA = 100
SIZES = {"a": 30, "b": 60, "c": 90, "d": 120}
steps = some.lists(
    some.tuples(some.sampled_from("want arrive fail ours read gone found full".split()), some.integers(0, 99))
)


@given(steps)
def test_the_shelf_keeps_its_word(walk: list[tuple[str, int]]) -> None:
    core = Core(QUOTA)
    coming: set[str] = set()
    here: dict[str, int] = {}
    reading: list[tuple[int, str]] = []
    waiting: dict[tuple[int, int], str] = {}
    unproven: set[str] = set()
    for number, (what, pick) in enumerate(walk):
        node, digest = pick % 3, "abcd"[pick % 4]
        event: on.Event
        if what == "want":
            waiting[node, number] = digest
            event = on.BlobWanted(node, number, digest)
        elif what in ("arrive", "fail", "ours"):
            if not coming:
                continue
            digest = sorted(coming)[pick % len(coming)]
            coming.discard(digest)
            event = on.BlobFailed(digest, "why", what == "ours")
            if what == "arrive":
                here[digest] = SIZES[digest]
                unproven.discard(digest)
                event = on.BlobArrived(digest, SIZES[digest])
        elif what == "found":
            if digest in here or digest in coming:
                continue
            here[digest] = SIZES[digest]
            unproven.add(digest)
            event = on.BlobFound(digest, SIZES[digest])
        elif what == "full":
            event = on.DiskFilled()
        elif what == "read":
            if not reading:
                continue
            _, digest = reading.pop(pick % len(reading))
            event = on.BlobRead(digest)
        else:
            waiting = {key: wanted for key, wanted in waiting.items() if key[0] != node}
            event = on.NodeGone(node)
        for command in core.handle(event):
            if isinstance(command, do.FetchBlob):
                assert command.digest not in coming and command.digest not in here.keys() - unproven
                coming.add(command.digest)
            elif isinstance(command, do.ServeBlob):
                assert command.digest in here.keys() - unproven
                assert waiting.pop((command.node, command.stream)) == command.digest
                reading.append((command.node, command.digest))
            elif isinstance(command, do.RefuseBlob):
                assert waiting.pop((command.node, command.stream))
            elif isinstance(command, do.PassFetch):
                assert waiting.pop((command.node, command.stream)) == command.digest
            elif isinstance(command, do.Evict):
                for gone in command.digests:
                    assert gone not in {digest for _, digest in reading} | coming
                    del here[gone]
                    unproven.discard(gone)
        assert set(waiting.values()) <= coming, "who waits is waited for"
        assert {digest for digest in SIZES if digest in core.shelf} == set(here)
        held = {digest for _, digest in reading} | coming
        assert sum(here.values()) <= QUOTA or set(here) <= held
