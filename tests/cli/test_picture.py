"""The PNG writer against the format itself, read back by hand."""

import struct
import zlib

import pytest

from lightwork.cli.picture import png


def chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(body),)
        yield body[:4], body[4:]
        at += 12 + length


def test_a_picture_read_back():
    pixels = bytes(range(3 * 4 * 2))
    found = list(chunks(png(4, 2, pixels)))
    assert [name for name, _ in found] == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", found[0][1]) == (4, 2, 8, 2, 0, 0, 0)
    assert zlib.decompress(found[1][1]) == b"\0" + pixels[:12] + b"\0" + pixels[12:]


def test_pixels_must_fill_the_picture():
    with pytest.raises(ValueError, match="no picture"):
        png(4, 2, b"\0" * 23)
