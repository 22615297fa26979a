"""Functions whose calls are noted, because what they do to the process cannot be seen cheaply afterwards."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, List, Optional, Set

_TOUCHES_SIGNALS = ("signal", "alarm", "setitimer", "siginterrupt", "set_wakeup_fd", "pthread_sigmask")
_CANNOT_BE_UNDONE = {
    "os": "nice setpriority sched_setaffinity sched_setscheduler setuid setgid seteuid setegid setreuid setregid "
    "setresuid setresgid setgroups chroot setpgid setsid",
    "resource": "setrlimit prlimit",
}

real_putenv: Callable[[Any, Any], Any] = os.putenv
real_chdir: Callable[[Any], Any] = os.chdir
real_fchdir: Optional[Callable[[int], None]] = getattr(os, "fchdir", None)
real_umask: Callable[[int], int] = os.umask
real_unsetenv: Callable[[Any], Any] = getattr(os, "unsetenv", lambda name: None)


def watch(touched: Set[str], undoable: List[str]) -> None:
    """From now on calls are noted: in `touched` what can be set back, in `undoable` what cannot.

    A variable of the C environment is noted as "=NAME".
    """
    import signal

    for name in _TOUCHES_SIGNALS:
        _wrap(signal, name, lambda called, arguments: touched.add("signal"))
    for module, names in _CANNOT_BE_UNDONE.items():
        for name in names.split() if module in sys.modules else ():
            _wrap(sys.modules[module], name, lambda called, arguments: undoable.append(called))
    for name in ("putenv", "unsetenv"):
        _wrap(os, name, lambda called, arguments: touched.add("=" + os.fsdecode(arguments[0])))
    _wrap(os, "dup2", lambda called, arguments: touched.add("descriptors"))
    for name in ("chdir", "fchdir", "umask"):
        _wrap(os, name, lambda called, arguments: touched.add("place"))


def _wrap(module: Any, name: str, note: Callable[[str, Any], Any]) -> None:
    real = getattr(module, name, None)
    if real is None:
        return
    full = "%s.%s" % (module.__name__, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        if args:
            note(full, args)
        return real(*args, **kwargs)

    watched.__name__ = watched.__qualname__ = name
    watched.__module__, watched.__doc__ = module.__name__, real.__doc__
    watched.unwatched = real  # type: ignore[attr-defined]  # for our own calls
    setattr(module, name, watched)
    source = sys.modules.get(getattr(real, "__module__", ""))  # os.chdir is posix.chdir, and pickled as such
    if source is not None and getattr(source, name, None) is real:
        setattr(source, name, watched)
