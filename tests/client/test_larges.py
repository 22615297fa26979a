"""Copies of large arguments: in memory while they are few, in files without a name beyond."""

from __future__ import annotations

import mmap

import pytest

from lightwork.client.larges import Larges
from lightwork.model.errors import ArenaFull
from lightwork.payload.arguments import pack_arguments
from lightwork.payload.gather import LargePayload
from lightwork.payload.reading import unpack_memory
from lightwork.wire.streams import SourceFailed

SIZE = 1 << 20


def payload(data: bytes | bytearray) -> LargePayload:
    packed = pack_arguments((data,), {})
    assert isinstance(packed, LargePayload)
    return packed


@pytest.mark.parametrize("memory", [1 << 30, SIZE // 2])
def test_copies_are_kept_until_they_are_dropped(memory: int) -> None:
    larges = Larges(memory)
    data = bytearray(b"a" * SIZE)
    views = [larges.copy(payload(data)) for _ in range(3)]
    data[:] = b"b" * SIZE
    for number, view in enumerate(views):
        assert isinstance(view.obj, mmap.mmap)
        assert unpack_memory(view)[0][0] == b"a" * SIZE
        larges.keep(number, view)
    assert len(larges) == 3
    source = larges.source("1", 10)
    assert bytes(source.read(20) or b"") == bytes(views[1][10:30])
    larges.drop([0, 1, 7])
    assert len(larges) == 1
    assert bytes(source.read(5) or b"") == bytes(views[1][30:35]), "what is on its way goes on"
    for name in ("1", "7", "x"):
        with pytest.raises(SourceFailed, match=f"job {name}"):
            larges.source(name, 0).read(1)


def test_no_room_is_an_error_that_says_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(size: int) -> mmap.mmap:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightwork.client.larges._mapped", full)
    with pytest.raises(ArenaFull, match=r"1.0 MiB: .*No space left"):
        Larges(1).copy(payload(b"a" * SIZE))
