"""Files of a few lines by which a node knows itself again."""

from __future__ import annotations

import os
from pathlib import Path


def read_text(path: Path) -> str:
    """What is in it, without white space around; nothing if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""


def write_text(path: Path, text: str) -> None:
    """Whole or not at all. OSError: it cannot be."""
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.write_text(text + "\n", encoding="utf-8")
        os.chmod(draft, 0o600)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
