"""Blobs: whole and on disk, or not there at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lightwork.store import durable
from lightwork.store.blobs import Blobs

CONTENT = b"some content" * 10_000


def digest_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def stored(blobs: Blobs, content: bytes) -> str:
    writer = blobs.writer()
    writer.write(content)
    return writer.store()


def test_written_in_pieces(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    digest = digest_of(CONTENT)
    writer = blobs.writer(digest)
    for at in range(0, len(CONTENT), 777):
        writer.write(memoryview(CONTENT)[at : at + 777])
    assert not blobs.has(digest)
    assert writer.store() == digest
    assert blobs.has(digest)
    assert blobs.path(digest).read_bytes() == CONTENT
    assert blobs.path(digest).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [digest]


def test_its_digest_may_be_unknown_before(tmp_path):
    blobs = Blobs(tmp_path)
    assert stored(blobs, b"abc") == digest_of(b"abc")
    assert stored(blobs, b"abc") == digest_of(b"abc")  # twice is once
    assert stored(blobs, b"") == digest_of(b"")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 3


def test_wrong_content_is_not_kept(tmp_path):
    blobs = Blobs(tmp_path)
    writer = blobs.writer(digest_of(b"abc"))
    writer.write(b"abd")
    with pytest.raises(ValueError, match="not what was announced"):
        writer.store()
    assert list(tmp_path.iterdir()) == []


def test_discarded(tmp_path):
    blobs = Blobs(tmp_path)
    writer = blobs.writer()
    writer.write(b"abc")
    writer.discard()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "x" * 32, "AB" * 16, "ab" * 8])
def test_what_is_no_digest(tmp_path, name):
    blobs = Blobs(tmp_path)
    with pytest.raises(ValueError, match="no digest"):
        blobs.path(name)
    if name:
        with pytest.raises(ValueError, match="no digest"):
            blobs.writer(name)
    assert list(tmp_path.iterdir()) == []


def test_synced_before_it_has_its_name(tmp_path, monkeypatch):
    """File, name, folder, in this order."""
    order: list[str] = []
    blobs = Blobs(tmp_path)
    writer = blobs.writer()
    writer.write(b"abc")
    sync, replace = os.fsync, os.replace

    def watched_sync(descriptor: int) -> None:
        order.append(kind_of(descriptor))
        sync(descriptor)

    def watched_replace(old: Path, new: Path) -> None:
        order.append("name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    writer.store()
    assert order == ["file", "name", "folder"]


def kind_of(descriptor: int) -> str:
    return "folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file"


def test_a_failed_sync_stores_nothing(tmp_path, monkeypatch):
    blobs = Blobs(tmp_path)
    writer = blobs.writer()
    writer.write(b"abc")

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        writer.store()
    assert not blobs.has(digest_of(b"abc"))
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_needs_goes(tmp_path):
    blobs = Blobs(tmp_path)
    first, second = stored(blobs, b"first"), stored(blobs, b"second")
    coming = blobs.writer()
    coming.write(b"third")
    assert blobs.remove_except({second}) == 1
    assert (blobs.has(first), blobs.has(second)) == (False, True)
    assert blobs.has(coming.store())


def test_halves_of_an_earlier_life_go(tmp_path):
    blobs = Blobs(tmp_path)
    kept = stored(blobs, b"kept")
    blobs.writer().write(b"half")
    assert len(list(tmp_path.iterdir())) == 2
    again = Blobs(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [kept]
    assert again.has(kept)


def test_a_file_is_replaced_at_once(tmp_path):
    path = tmp_path / "x"
    durable.write_file(str(path), b"one")
    durable.write_file(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert [found.name for found in tmp_path.iterdir()] == ["x"]
    durable.remove(str(path))
    durable.remove(str(path))
    assert not path.exists()
