"""SQLite's write-ahead log, read before SQLite does: it drops all behind the first bad frame without a word.

    header (32)                                  frame (24 + page)          frame ...
    | magic | version | page size | sequence |   | page number | size of    |
    | salt 1 | salt 2 | checksum 1 | 2       |   | the database if the frame|
                                                 | ends a transaction | salts |
                                                 | checksums | page content    |

A frame counts if its salts are the header's and its checksum follows from the frame before it. The checksum is linear:
out of (s, t) and two words (x, y) come (s + t + x, s + 2t + x + y), so a frame is an affine map of its predecessor's
checksum, whose matrix is always the same. Behind a bad frame the chain is taken up again from the checksum that the bad
frame carries (or ought to carry): what follows from that was written by SQLite, and is not there by accident.

What may lie behind the last transaction that counts:

    nothing; frames with older salts, left over from before the log was begun anew     clean
    an unfinished transaction; garbage up to the end of the file                       torn: dropped, and that is said
    a bad frame, and then the rest of the same, last transaction                       torn, unless it was acknowledged
    a bad frame, and then further transactions                                         damage: refused

A transaction is written when the one before it has been synced, so only the last one can be torn by a crash. Its pages
are in ascending order (the cache never spills), and each transaction writes the page of the head: two transactions are
never taken for one.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from struct import Struct
from typing import NamedTuple

PAGE = 4096
HEADER = Struct(">8I")
FRAME_HEADER = Struct(">6I")
FRAME = FRAME_HEADER.size + PAGE
MAGIC_LITTLE, MAGIC_BIG = 0x377F0682, 0x377F0683
VERSION = 3007000
_MASK = 0xFFFFFFFF
_OLD_MAX = 1 << 20  # the first salt counts how often the log was begun anew

Sum = tuple[int, int]


class Found(NamedTuple):
    """What a log holds. `committed`: frames up to the end of the last transaction that SQLite will see."""

    committed: int = 0
    dropped: int = 0  # bytes behind them that belonged to this log, or are garbage
    bad: int = 0  # number of the first bad frame before frames that are whole (the header: 0)
    damaged: bool = False  # transactions follow the bad one
    last: bool = False  # what follows the bad frame is the rest of the last transaction


class Frame(NamedTuple):
    """One frame. `base`: its checksum behind (0, 0); `stored`: the one it carries."""

    number: int
    page: int
    commits: bool
    salts: Sum
    base: Sum
    stored: Sum


def checksum(data: bytes | memoryview, little: bool, start: Sum = (0, 0)) -> Sum:
    """SQLite's checksum of a log; the size must be a multiple of 8."""
    words = array("I", bytes(data))
    if (sys.byteorder == "little") != little:
        words.byteswap()
    s, t = start
    pairs = iter(words)
    for x, y in zip(pairs, pairs, strict=True):
        s = (s + x + t) & _MASK
        t = (t + y + s) & _MASK
    return s, t


def _matrix(size: int) -> tuple[int, int, int, int]:
    """What `size` bytes of zeros make of a checksum: columns for (1, 0) and (0, 1)."""
    zeros = bytes(size)
    (a, c), (b, d) = checksum(zeros, True, (1, 0)), checksum(zeros, True, (0, 1))
    return a, b, c, d


_SUMMED = 8 + PAGE  # of a frame: page number, size, content
_A, _B, _C, _D = _matrix(_SUMMED)


def follows(before: Sum, base: Sum) -> Sum:
    """The checksum of a frame behind one that carries `before`."""
    s, t = before
    return (_A * s + _B * t + base[0]) & _MASK, (_C * s + _D * t + base[1]) & _MASK


def read_frames(data: memoryview, little: bool) -> Iterator[Frame]:
    """All whole frames that a file has room for, whatever is in them."""
    for number, at in enumerate(range(HEADER.size, len(data) - FRAME + 1, FRAME), 1):
        page, size, salt1, salt2, s, t = FRAME_HEADER.unpack_from(data, at)
        summed = bytes(data[at : at + 8]) + bytes(data[at + FRAME_HEADER.size : at + FRAME])
        yield Frame(number, page, size != 0, (salt1, salt2), checksum(summed, little), (s, t))


def examine(content: bytes) -> Found:
    """What SQLite will take from a log with this content, and what it will drop."""
    data = memoryview(content)
    if not content:
        return Found()
    if len(data) < HEADER.size:
        return Found(dropped=len(data))
    magic, version, page, _, salt1, salt2, s, t = HEADER.unpack_from(data)
    little = magic != MAGIC_BIG
    computed = checksum(data[:24], little)
    if magic in {MAGIC_LITTLE, MAGIC_BIG} and version == VERSION and page == PAGE and computed == (s, t):
        return _examine_frames(data, list(read_frames(data, little)), (salt1, salt2), (s, t))
    return _examine_headless(data, (s, t))


def _examine_headless(data: memoryview, stored: Sum) -> Found:
    """The header is bad: SQLite will take nothing. Is there something?"""
    for little in (True, False):
        before, carried = stored, checksum(data[:24], little)
        for frame in read_frames(data, little):
            ought = follows(before, frame.base), follows(carried, frame.base)
            if frame.commits and frame.stored in ought:
                return Found(dropped=len(data), bad=0, damaged=True)
            before, carried = frame.stored, ought[1]
    return Found(dropped=len(data))


def _examine_frames(data: memoryview, frames: list[Frame], salts: Sum, before: Sum) -> Found:
    committed = good = 0
    for frame in frames:
        if frame.salts != salts or not frame.page or follows(before, frame.base) != frame.stored:
            break
        before, good = frame.stored, frame.number
        committed = good if frame.commits else committed
    behind = _whole_behind(frames[good:], salts, before)
    if good == len(frames) or (not behind and _is_old(frames[good], salts, before)):
        partial = (len(data) - HEADER.size) % FRAME if good == len(frames) else 0
        return Found(committed, (good - committed) * FRAME + partial)
    dropped = len(data) - HEADER.size - committed * FRAME
    ends = [frame for frame in behind if frame.commits]
    if not ends:
        return Found(committed, dropped)
    pages = [frame.page for frame in (*frames[committed:good], *behind)]
    last = ends[0] is behind[-1] and all(low < high for low, high in pairwise(pages))
    return Found(committed, dropped, good + 1, not last, last)


def _whole_behind(frames: list[Frame], salts: Sum, before: Sum) -> list[Frame]:
    """Frames behind a bad one (the first of these) that follow from the frame before them, however that was damaged."""
    whole = []
    carried = stored = before
    for frame in frames:
        ought = {follows(carried, frame.base), follows(stored, frame.base)}
        if frame.number != frames[0].number and frame.salts == salts and frame.page and frame.stored in ought:
            whole.append(frame)
        carried, stored = follows(carried, frame.base), frame.stored
    return whole


def _is_old(frame: Frame, salts: Sum, before: Sum) -> bool:
    """Left over from before the log was begun anew: other salts, and no checksum of this log."""
    age = (salts[0] - frame.salts[0]) & _MASK
    return frame.page > 0 and 0 < age <= _OLD_MAX and follows(before, frame.base) != frame.stored
