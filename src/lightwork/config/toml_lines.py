"""On which line of a TOML text each value stands, which the standard library's parser does not tell.

The text has been parsed before, so that it is TOML: this reads just enough of it to know where keys and values begin.
"""

from __future__ import annotations

import re
import tomllib
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
_QUOTED = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")|' + r"'''.*?'''(?!')|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'", re.DOTALL
)


def lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each table, key and element of a list."""
    return _Reader(text).read()


class _Reader:
    """Goes through the text once."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = 1
        self._counted = 0  # up to where `_line` is right
        self._tables: dict[Path, int] = {}  # how many of each [[table]] there are
        self._found: dict[Path, int] = {}

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip():
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)
        return self._found

    def _header(self, brackets: int) -> Path:
        line = self._here()
        self._at += brackets
        keys = self._keys()
        self._skip()
        self._at += brackets
        path: Path = ()
        for number, key in enumerate(keys):
            path += (key,)
            if path in self._tables and (number + 1 < len(keys) or brackets == 1):
                path += (self._tables[path] - 1,)  # of the last one
        if brackets == 2:
            self._tables[path] = self._tables.get(path, 0) + 1
            self._found.setdefault(path, line)
            path += (self._tables[path] - 1,)
        self._found.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        """`key = value`."""
        line = self._here()
        path = table
        for key in self._keys():
            path += (key,)
            self._found.setdefault(path, line)
        self._skip()
        self._at += 1
        self._value(path)

    def _keys(self) -> list[str]:
        """`a."b c".d`."""
        keys: list[str] = []
        while True:
            self._skip()
            quoted = _QUOTED.match(self._text, self._at)
            found = quoted or _BARE_KEY.match(self._text, self._at)
            assert found is not None, self._text[self._at :][:20]
            keys.append(*tomllib.loads(f"{found[0]} = 0"))  # it knows all escapes
            self._at = found.end()
            self._skip()
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip()
        self._found.setdefault(path, self._here())
        first = self._text[self._at]
        if first == "[":
            self._inside(path, "]")
        elif first == "{":
            self._inside(path, "}")
        else:
            found = _QUOTED.match(self._text, self._at) or _BARE_VALUE.match(self._text, self._at)
            assert found is not None
            self._at = found.end()

    def _inside(self, path: Path, end: str) -> None:
        """Elements of a list, or pairs of a table on one line."""
        self._at += 1
        number = 0
        while self._skip() and self._text[self._at] != end:
            if self._text[self._at] == ",":
                self._at += 1
            elif end == "]":
                self._value((*path, number))
                number += 1
            else:
                self._pair(path)
        self._at += 1

    def _skip(self) -> bool:
        """Over blanks and comments; whether there is more."""
        found = _BLANK.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._at < len(self._text)

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
