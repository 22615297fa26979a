"""Source text of functions that travel by value, so that remote tracebacks show the lines that ran."""

from __future__ import annotations

import linecache
from typing import Any

SOURCES_MAX = 1 << 20  # characters of one file, and of all of them


class Sources:
    """Collects source texts by file name; what was typed into a notebook is found too."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._left = SOURCES_MAX

    def add(self, filename: str, namespace: dict[str, Any]) -> None:
        """The text of one file, unless it has none or would be too large to send with every computation."""
        if filename in self.texts:
            return
        text = "".join(linecache.getlines(filename, namespace))
        if text and len(text) <= self._left:
            self.texts[filename] = text
            self._left -= len(text)
