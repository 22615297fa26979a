"""A PNG file from bare pixels, with the standard library alone.

signature | IHDR: size, 8 bits, RGB | IDAT: rows, each behind a filter byte, zipped | IEND
chunk = length | name | data | crc of name and data
"""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2


def png(width: int, height: int, pixels: bytes) -> bytes:
    """The file's bytes. `pixels`: rows from the top, three bytes (red, green, blue) each pixel."""
    row = 3 * width
    if len(pixels) != row * height:
        raise ValueError(f"{len(pixels)} bytes are no picture of {width} x {height}")
    filtered = b"".join(b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    header = struct.pack(">IIBBBBB", width, height, 8, _RGB, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(filtered, 6)), _chunk(b"IEND", b""))
    return _SIGNATURE + b"".join(parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
