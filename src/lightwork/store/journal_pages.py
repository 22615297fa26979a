"""Rows read out of raw pages, without SQLite: for files that it no longer opens, and for what its log still holds.

    file:  page page page ...           leaf page: 13 | ... | cells: n | ... | pointers -> cells
    log:   frame (page) frame (page)    cell: payload size, row number, record; what does not fit: a list of pages

Every image of a leaf is searched, old ones in the log, too: whether a row is the one that was written is told by its
place in the chain, and by nothing else. Rows are only appended, so all images of an overflow page are alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from lightwork.store.journal_chain import CHAIN_SIZE, START, Row, link
from lightwork.store.journal_wal import FRAME, FRAME_HEADER, HEADER, PAGE

_LEAF = 13
_LOCAL_MAX = PAGE - 35
_LOCAL_MIN = (PAGE - 12) * 32 // 255 - 23
_BLOB = 12  # serial types: 12 + 2 * size
_IMAGES_TRIED = 4

Cell = tuple[memoryview, int]  # a page, and where in it


class Images:
    """All pages that a file and its log hold, and the cells in them by row number."""

    def __init__(self, main: bytes, log: bytes) -> None:
        self._pages: dict[int, list[memoryview]] = {}  # by page number: from the log, newest first, then the file's
        self.cells: dict[int, list[Cell]] = {}
        self._add_log(memoryview(log))
        data = memoryview(main)
        for number in range(1, len(data) // PAGE + 1):
            self._add(number, data[(number - 1) * PAGE : number * PAGE])

    def rows(self) -> Iterator[Row]:
        """From row 0 on as far as the chain goes. A row 0 that is damaged itself does not count if row 1 follows it."""
        number, chain = 0, START
        starts = [stored for _, stored in self._candidates(0)]
        found = self._next(0, chain)
        if found is None:
            following = (start for start in starts if self._next(1, start) is not None)
            number, chain = 1, next(following, START)
            found = self._next(1, chain)
        while found is not None:
            yield number, found, (chain := link(chain, number, found))
            number += 1
            found = self._next(number, chain)

    def _next(self, number: int, chain: bytes) -> bytes | None:
        return next((body for body, stored in self._candidates(number) if link(chain, number, body) == stored), None)

    def _candidates(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """Whatever claims to be this row: body and chain."""
        for page, at in self.cells.get(number, ()):
            for image in range(_IMAGES_TRIED):
                payload, whole = self._payload(page, at, image)
                row = _row(payload)
                if row is not None:
                    yield row
                if whole:
                    break

    def _payload(self, page: memoryview, at: int, image: int) -> tuple[bytes, bool]:
        """Of a cell, with the n-th image of each overflow page; and whether it has none."""
        size, at = _varint(page, at)
        _, at = _varint(page, at)
        if size <= _LOCAL_MAX:
            return bytes(page[at : at + size]), True
        local = _LOCAL_MIN + (size - _LOCAL_MIN) % (PAGE - 4)
        local = local if local <= _LOCAL_MAX else _LOCAL_MIN
        parts, missing = [bytes(page[at : at + local])], size - local
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while missing > 0 and (images := self._pages.get(following)):
            further = images[min(image, len(images) - 1)]
            parts.append(bytes(further[4 : 4 + missing]))
            missing -= PAGE - 4
            following = int.from_bytes(further[:4], "big")
        return b"".join(parts), False

    def _add_log(self, data: memoryview) -> None:
        starts = range(HEADER.size, len(data) - FRAME + 1, FRAME)
        for at in reversed(starts):
            number = FRAME_HEADER.unpack_from(data, at)[0]
            self._add(number, data[at + FRAME_HEADER.size : at + FRAME])

    def _add(self, number: int, page: memoryview) -> None:
        self._pages.setdefault(number, []).append(page)
        if page[0] != _LEAF:
            return
        count = int.from_bytes(page[3:5], "big")
        for pointer in range(8, min(8 + 2 * count, PAGE - 1), 2):
            at = int.from_bytes(page[pointer : pointer + 2], "big")
            try:
                _, row = _varint(page, at)
                self.cells.setdefault(_varint(page, row)[0], []).append((page, at))
            except IndexError:  # it points behind the page: damaged, or no leaf
                continue


def _row(payload: bytes) -> tuple[bytes, bytes] | None:
    """Body and chain of a record of the table of rows; None: it is none."""
    try:
        size, at = _varint(payload, 0)
        _, at = _varint(payload, at)
        body, at = _varint(payload, at)
        chain, at = _varint(payload, at)
    except IndexError:
        return None
    if at != size or body < _BLOB or chain // 2 != _BLOB // 2 + CHAIN_SIZE:
        return None
    end = at + (body - _BLOB) // 2
    found = payload[at:end], payload[end : end + CHAIN_SIZE]
    return found if len(found[1]) == CHAIN_SIZE else None


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """SQLite's: seven bits a byte, the ninth has eight. The number, and where it ends; IndexError: beyond the data."""
    value = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    raise AssertionError  # the ninth byte is the last
