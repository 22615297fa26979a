"""What Windows does not tell in a file: which process started which. (Written for it, never run there.)"""

from __future__ import annotations

import sys
from typing import Dict

_SNAPSHOT_PROCESSES = 2


def parents() -> Dict[int, int]:
    """Parent of every process, by process."""
    if sys.platform != "win32":
        return {}
    import ctypes
    from ctypes import wintypes

    class Entry(ctypes.Structure):
        _fields_ = [
            ("size", wintypes.DWORD),
            ("usage", wintypes.DWORD),
            ("pid", wintypes.DWORD),
            ("heap", ctypes.c_void_p),
            ("module", wintypes.DWORD),
            ("threads", wintypes.DWORD),
            ("parent", wintypes.DWORD),
            ("priority", wintypes.LONG),
            ("flags", wintypes.DWORD),
            ("name", wintypes.CHAR * 260),
        ]

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateToolhelp32Snapshot.restype = wintypes.HANDLE
    snapshot = wintypes.HANDLE(kernel.CreateToolhelp32Snapshot(_SNAPSHOT_PROCESSES, 0))
    entry = Entry()
    entry.size = ctypes.sizeof(Entry)
    found: Dict[int, int] = {}
    more = kernel.Process32First(snapshot, ctypes.byref(entry))
    while more:
        found[entry.pid] = entry.parent
        more = kernel.Process32Next(snapshot, ctypes.byref(entry))
    kernel.CloseHandle(snapshot)
    return found
