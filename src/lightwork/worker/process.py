"""What a process of ours does to itself: where its descriptors lie, who inherits its orphans, when it dies.

Our descriptors lie high, so that a job that closes 0 to 20 harms nothing of ours.
"""

from __future__ import annotations

import os
import sys
from typing import Callable

_SUBREAPER, _PARENT_DEATH_SIGNAL, _DUMPABLE = 36, 1, 4
_BASE_MAX = 900  # below 1024, the limit of select()


def descriptor_base() -> int:
    """The lowest descriptor number that ours may have."""
    if sys.platform == "win32":
        return 0
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _BASE_MAX if soft >= _BASE_MAX + 64 or soft < 0 else max(3, soft - 64)


def lift(descriptor: int) -> int:
    """Move a descriptor up to where jobs do not reach; the old number is closed."""
    if sys.platform == "win32":
        return descriptor
    high = lifted_copy(descriptor)
    os.close(descriptor)
    return high


def lifted_copy(descriptor: int) -> int:
    """A second descriptor, up where jobs do not reach; closed when a program is executed."""
    if sys.platform == "win32":
        return os.dup(descriptor)
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, descriptor_base())


def become_subreaper() -> None:
    """Orphans below us come to us instead of going to init (Linux)."""
    _prctl(_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Be killed when `parent` dies (Linux). The check comes after the setting: it may have died in between."""
    if sys.platform == "win32":
        return
    _prctl(_PARENT_DEATH_SIGNAL, 9)
    if os.getppid() != parent:
        os._exit(1)


def be_dumpable() -> None:
    """After a change of user: what is in /proc about us is ours again (Linux)."""
    _prctl(_DUMPABLE, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def null_stdin() -> None:
    """Descriptor 0 reads nothing."""
    null = os.open(os.devnull, os.O_RDONLY)
    if null != 0:
        os.dup2(null, 0)
        os.close(null)


def child_waiter() -> Callable[[], bool]:
    """A cheap question: have we any child process, running or dead? (Dead ones are waited for by asking.)

    PyDLL: the call does not wait, so it need not give up the GIL, and an errno instead of an exception saves half.
    """
    if sys.platform == "win32":
        from lightwork.worker.killing import children_of

        return lambda: bool(children_of(os.getpid()))
    try:
        import ctypes

        waitpid = ctypes.PyDLL(None).waitpid
    except (ImportError, OSError, AttributeError):  # an interpreter without ctypes
        return _has_children
    return lambda: waitpid(-1, None, 1) != -1  # 1: WNOHANG


def _has_children() -> bool:
    if sys.platform == "win32":
        return False
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def fork() -> int:
    """os.fork, without the warning about threads: those of a setup do not come along, and that is known."""
    if sys.platform == "win32":
        raise OSError("no fork here")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()
