"""What a program finds as its standard input."""

from __future__ import annotations

import os
import sys
import tempfile


def stdin_descriptor(data: bytes) -> int:
    """A descriptor that reads `data` to its end."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY)
    if sys.platform == "linux":
        descriptor = os.memfd_create("stdin")
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:  # no room for it
        os.close(descriptor)
        raise
    return descriptor
