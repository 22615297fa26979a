"""Writing so that it is still there after a power cut: content first, then its name, then the folder that holds it."""

from __future__ import annotations

import os
import sys

NEW = ".new"  # ends the name of a file that is being written


def write_file(path: str, content: bytes) -> None:
    """The file has this content when this returns; before, it has the old one, whatever happens."""
    draft = path + NEW
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, path)
    sync_folder(os.path.dirname(path))


def sync_file(path: str) -> None:
    """Its content is on disk."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str) -> None:
    """The names in it are on disk."""
    if sys.platform == "win32":  # a folder cannot be opened there; NTFS keeps its own journal of names
        return
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """It is not there, or no longer."""
    try:
        os.unlink(path)
    except FileNotFoundError:  # what was wanted
        pass
