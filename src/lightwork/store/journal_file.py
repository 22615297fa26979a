"""One generation of the journal: a SQLite file of chained rows, and of a head that names the last one.

    rows  number | body | chain          head  number | chain

The head is written with each transaction: a leaf that lost its last rows, or is an earlier version of itself, is found
out. Nothing is ever deleted from a file, so its free list is empty and its header known but for two numbers.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any

from lightwork.config import limits
from lightwork.store.journal_chain import START, Damaged, Row, chained, generation_of, genesis, verified
from lightwork.store.journal_room import is_full
from lightwork.store.journal_wal import PAGE

_SCHEMA = (
    "CREATE TABLE head (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, chain BLOB NOT NULL)",
    "CREATE TABLE rows (number INTEGER PRIMARY KEY, body BLOB NOT NULL, chain BLOB NOT NULL)",
)
_APPLICATION = 0x4C574A31  # "LWJ1"
DatabaseError = sqlite3.Error  # for those who must not know what is beneath
WAL, SHM = "-wal", "-shm"

_HEADER = Struct(">16sHBBBBBBIIIIIIIIIIII20sII")
_FIXED = {
    "magic": b"SQLite format 3\0",
    "page size": PAGE,
    "write version": 2,
    "read version": 2,
    "reserved bytes": 0,
    "fractions": (64, 32, 32),
    "free list": (0, 0),
    "schema": (len(_SCHEMA), 4),
    "settings": (0, 0, 1, 0, 0, _APPLICATION),
    "padding": bytes(20),
}


class Busy(sqlite3.OperationalError):
    """Another process reads the journal, and does not end."""

    def __init__(self) -> None:
        super().__init__("another process is reading the journal")


class File:
    """A generation that is open for writing."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection = _connect(path, "rw")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA wal_autocheckpoint=0")
        self._connection.execute("PRAGMA cache_spill=OFF")  # a transaction is one run of frames, in the order of pages
        self._logged = 0  # bytes in the log, roughly
        self.number, self.chain = _head(self._connection)

    @classmethod
    def create(cls, path: str, generation: int, *, lasting: bool = True) -> File:
        """A new one. Not `lasting`: what is appended is synced by nobody."""
        connection = sqlite3.connect(path, isolation_level=None)
        os.chmod(path, 0o600)
        connection.execute(f"PRAGMA page_size={PAGE}")
        connection.execute(f"PRAGMA application_id={_APPLICATION}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN")
        for line in _SCHEMA:
            connection.execute(line)
        [(number, body, chain)] = chained(START, 0, [genesis(generation)])
        connection.execute("INSERT INTO rows VALUES (?, ?, ?)", (number, body, chain))
        connection.execute("INSERT INTO head VALUES (1, ?, ?)", (number, chain))
        connection.execute("COMMIT")
        connection.close()
        file = cls(path)
        file.lasting(lasting)
        return file

    def lasting(self, on: bool) -> None:
        """Whether `append` returns only when its rows are on disk. On: so are all earlier ones after the next."""
        self._connection.execute(f"PRAGMA synchronous={'FULL' if on else 'OFF'}")

    def append(self, bodies: Sequence[bytes]) -> None:
        """One transaction. sqlite3.Error: nothing of it is there."""
        rows = chained(self.chain, self.number + 1, bodies)
        number, _, chain = rows[-1]
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows)
            connection.execute("UPDATE head SET number = ?, chain = ?", (number, chain))
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.number, self.chain = number, chain
        self._logged += sum(map(len, bodies)) + 48 * len(rows) + 3 * PAGE

    def tidy(self) -> None:
        """Now and then: the log into the file, so that both stay as short as they can."""
        if self._logged >= limits.JOURNAL_CHECKPOINT:
            self._logged = 0  # if it cannot be now, then after as much again
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    @property
    def size(self) -> int:
        """Bytes that the file has or will have with all that is in its log."""
        pages: int = self._connection.execute("PRAGMA page_count").fetchone()[0]
        return pages * PAGE

    @property
    def generation(self) -> int:
        """Which one it says it is."""
        return generation_of(self._connection.execute("SELECT body FROM rows WHERE number = 0").fetchone()[0])

    def bodies(self, after: int, size_least: int, rows_least: int) -> list[bytes]:
        """Those of rows behind this number: so many bytes and rows at least, if there are."""
        found, size = [], 0
        for (body,) in self._connection.execute("SELECT body FROM rows WHERE number > ? ORDER BY number", (after,)):
            found.append(body)
            size += len(body) + 64
            if size >= size_least and len(found) >= rows_least:
                break
        return found

    def fold(self) -> None:
        """All of the log is in the file, on disk, and the log is empty. Busy: it cannot be."""
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Busy
        self._logged = 0

    def close(self) -> None:
        """What is in the log is folded into the file, if it can be; else it stays where it is."""
        self._connection.close()


def read(path: str, upto: int | None = None) -> Iterator[Row]:
    """All rows as SQLite sees them now (or those up to a number), each verified; Damaged at the first doubt.

    Changes nothing, not even by closing. Without `upto` nothing may be believed before the last row has come.
    """
    number = -1
    try:
        connection = _connect(path, "ro")
        try:
            connection.execute("BEGIN")  # one moment for all that follows, if somebody writes
            _check_structure(connection)
            chain = START
            rows = connection.execute("SELECT number, body, chain FROM rows ORDER BY number")
            for number, body, chain in verified(rows):
                yield number, body, chain
                if number == upto:
                    return
            head = _head(connection)
            if upto is not None or head != (number, chain):
                raise Damaged(number + 1, f"{upto or head[0]:,} were written, and only {number:,} are there")
        finally:
            connection.close()
    except sqlite3.Error as error:
        if is_full(error):
            raise
        raise Damaged(number + 1, f"{error} (in {path})") from error
    except (OverflowError, MemoryError, TypeError, ValueError) as error:  # what damage may make of a value
        raise Damaged(number + 1, f"{error} (in {path})") from error


def check_start(path: str) -> None:
    """The very first bytes, before SQLite sees them: it takes an empty file for a new one and deletes its log."""
    header = _header(path)
    if header[0] != _FIXED["magic"] or header[1] != PAGE or os.path.getsize(path) < PAGE * (1 + len(_SCHEMA)):
        raise Damaged(0, f"{path} is no SQLite file any more, or cut short")


def check_header(path: str) -> None:
    """All of the header of a file without a log; Damaged if anything is not as we have written it."""
    h = _header(path)
    found = {
        "magic": h[0],
        "page size": h[1],
        "write version": h[2],
        "read version": h[3],
        "reserved bytes": h[4],
        "fractions": h[5:8],
        "free list": h[10:12],
        "schema": h[12:14],
        "settings": h[14:20],
        "padding": h[20],
    }
    wrong = [name for name, value in _FIXED.items() if found[name] != value]
    if h[8] != h[21]:
        wrong.append("change counter")
    if h[9] * PAGE != os.path.getsize(path):
        wrong.append("size")
    if wrong:
        raise Damaged(0, f"the header of {path} is wrong: {', '.join(wrong)}")


def _header(path: str) -> tuple[Any, ...]:
    with open(path, "rb") as file:
        start = file.read(_HEADER.size)
    if len(start) < _HEADER.size:
        raise Damaged(0, f"{path} is cut short")
    return _HEADER.unpack(start)


def _connect(path: str, mode: str) -> sqlite3.Connection:
    place = os.path.abspath(path).replace(os.sep, "/").replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:///{place.lstrip('/')}?mode={mode}", uri=True, isolation_level=None)
    connection.text_factory = bytes
    return connection


def _head(connection: sqlite3.Connection) -> tuple[int, bytes]:
    rows = connection.execute("SELECT number, chain FROM head").fetchall()
    if len(rows) != 1:
        raise Damaged(0, f"it has {len(rows)} heads")
    number, chain = rows[0]
    return number, chain


def _check_structure(connection: sqlite3.Connection) -> None:
    """Pages, tables, free list: all that is not in a row."""
    found = tuple(text.decode() for (text,) in connection.execute("SELECT sql FROM sqlite_master ORDER BY rootpage"))
    if found != _SCHEMA:
        raise Damaged(0, "its tables are not ours")
    complaints = [text.decode(errors="replace") for (text,) in connection.execute("PRAGMA quick_check(3)")]
    if complaints != ["ok"]:
        raise Damaged(0, "; ".join(complaints))
