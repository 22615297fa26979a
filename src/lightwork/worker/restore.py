"""After each job the worker is as it was before: nothing that one job does to the process reaches the next.

    always (half a microsecond)  sys.path, sys.argv, the streams, warning filters and the number of threads compared
    when touched               working directory, umask, environ, signal handlers, timers and masks: `os.chdir`,
                               `os.putenv`, `signal.signal` and their kin note that they were called
    after 30 us                working directory and umask, whoever changed them; descriptors 1 and 2; children:
                               nothing can be forked in less
    after 1 ms                 everything else that can be set back
    cannot be set back         (uid, nice, limits, threads, killed children): the worker takes no further job

Module globals persist; that is what a warm worker is for.
"""

from __future__ import annotations

import _thread
import gc
import os
import sys
from importlib import import_module
from typing import Any, Callable, Dict, List, Optional

from lightwork.worker import killing
from lightwork.worker.output import Output
from lightwork.worker.watch import real_chdir, real_fchdir as _fchdir, real_putenv, real_umask, real_unsetenv, watch

_signal: Any = import_module("_signal")  # the bare functions: those of `signal` make enums, at 1.7 us a question

FORK_NS_MIN = 30_000  # no system call sequence makes a process in less
THOROUGH_NS_MIN = 1_000_000
_PATIENCE_S = 0.02  # a thread or child that is just ending is no stray


class Place:
    """Where jobs of one computation run: directory, environment, sys.path."""

    def __init__(self, directory: str, path: List[str], environment: Dict[str, str]) -> None:
        self.directory = directory
        self.path = path
        self.environment = environment


class Restorer:
    """Remembers how the worker was, and sets it back."""

    def __init__(self, output: Output) -> None:
        import warnings

        self._output = output
        self._warnings = warnings
        self._touched = output.touched
        self._undoable: List[str] = []
        watch(self._touched, self._undoable)
        self._environ = os.environ
        self._own_path, self._own_environment = list(sys.path), dict(os.environ)
        self._directory = -1
        self._place: Optional[Place] = None
        self._take_stock()

    def _take_stock(self) -> None:
        self._umask = os.umask(0o22)
        os.umask(self._umask)
        self._threads = _thread._count()
        self._filters = list(self._warnings.filters)
        self._show = self._warnings.showwarning
        self._handlers = {number: _signal.getsignal(number) for number in _numbers()}
        self._mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, []) if hasattr(_signal, "pthread_sigmask") else set()
        self._argv, self._arguments = sys.argv, list(sys.argv)
        self._path_list = sys.path
        self._recursion = sys.getrecursionlimit()
        self._tracing = sys.gettrace(), sys.getprofile()
        self._hook = sys.excepthook
        self._remember_environ()

    def keep_handlers(self) -> None:
        """The signal handlers as they are now are those to come back to."""
        self._handlers = {number: _signal.getsignal(number) for number in _numbers()}
        self._touched.clear()

    def _remember_environ(self) -> None:
        self._variables = dict(_data(os.environ))

    # --- before the jobs of a frame

    def enter(self, place: Place) -> None:
        """Jobs run at `place` from now on. (They leave it as they found it, so it need not be entered twice.)"""
        if place is self._place:
            return
        self._place = None
        sys.path = self._path_list
        self._path_list[:] = place.path + [entry for entry in self._own_path if entry not in place.path]
        self._path = list(self._path_list)
        self._set_environment(dict(self._own_environment, **place.environment))
        self._enter_directory(place.directory)
        self._place = place

    def _enter_directory(self, directory: str) -> None:
        from lightwork.worker.process import lift

        real_chdir(directory)
        self._name = directory
        if hasattr(os, "fchdir"):
            if self._directory >= 0:
                os.close(self._directory)
            self._directory = lift(os.open(".", os.O_RDONLY))

    def _set_environment(self, wanted: Dict[str, str]) -> None:
        os.environ = self._environ  # noqa: B003
        environ = self._environ
        for name in [name for name in environ if name not in wanted]:
            del environ[name]
        for name, value in wanted.items():
            if environ.get(name) != value:
                environ[name] = value
        self._touched.clear()
        self._remember_environ()

    # --- after each job

    def checker(self) -> Callable[[int], str]:
        """A function to be called with the nanoseconds that a job took; returns why the worker must go, or ''."""
        environ = self._environ
        path_list, path = self._path_list, self._path
        argv, arguments = self._argv, self._arguments
        warnings, filters = self._warnings, self._filters
        output, touched, undoable = self._output, self._touched, self._undoable
        threads, count = self._threads, _thread._count

        def check(took_ns: int) -> str:
            if (
                touched
                or undoable
                or os.environ is not environ
                or sys.path is not path_list
                or path_list != path
                or sys.argv is not argv
                or argv != arguments
                or sys.stdout is not output.stdout
                or sys.stderr is not output.stderr
                or sys.stdin is not output.stdin
                or warnings.filters != filters
                or count() != threads
                or took_ns > THOROUGH_NS_MIN
            ):
                return self._put_back()
            return self._return() if took_ns > FORK_NS_MIN else ""

        return check

    def _return(self) -> str:
        """To its directory and umask, whoever changed them: calls from Python are noted, those from C are not."""
        try:
            if _fchdir is None:
                real_chdir(self._name)
            else:
                _fchdir(self._directory)
        except OSError:
            return self._put_back()
        real_umask(self._umask)
        return ""

    def _put_back(self) -> str:
        output = self._output
        try:
            real_chdir(self._name)
        except OSError as error:
            self._undoable.append("something on its directory (%s)" % error)
        real_umask(self._umask)
        self._restore_environ()
        sys.path, sys.argv = self._path_list, self._argv
        self._path_list[:], self._argv[:] = self._path, self._arguments
        output.put_streams()
        if "streams" in self._touched:
            output.open_streams()
        self._restore_warnings()
        self._restore_signals()
        self._restore_interpreter()
        self._touched.clear()
        return self._reason_to_go()

    def _restore_environ(self) -> None:
        os.environ = self._environ  # noqa: B003
        data, wanted = _data(self._environ), self._variables
        names = {name for name in set(data) | set(wanted) if data.get(name) != wanted.get(name)}
        names |= {self._key(name) for name in self._touched if name.startswith("=")}
        for name in names:
            if name in wanted:
                real_putenv(name, wanted[name])
            else:
                real_unsetenv(name)
        data.clear()
        data.update(wanted)

    def _key(self, touched: str) -> Any:
        return os.fsencode(touched[1:]) if os.name != "nt" else touched[1:].upper()

    def _restore_warnings(self) -> None:
        if self._warnings.filters != self._filters:
            self._warnings.filters[:] = self._filters  # type: ignore[index]
            changed = getattr(self._warnings, "_filters_mutated", None)
            if changed is not None:
                changed()
        self._warnings.showwarning = self._show

    def _restore_signals(self) -> None:
        if hasattr(_signal, "setitimer"):
            for timer in (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF):
                if _signal.getitimer(timer) != (0.0, 0.0):
                    _signal.setitimer(timer, 0)
        for number, handler in self._handlers.items():
            if _signal.getsignal(number) is not handler and handler is not None:
                _signal.signal(number, handler)
        if hasattr(_signal, "pthread_sigmask"):
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)
        _signal.set_wakeup_fd(-1)

    def _restore_interpreter(self) -> None:
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        if (sys.gettrace(), sys.getprofile()) != self._tracing:
            sys.settrace(self._tracing[0])
            sys.setprofile(self._tracing[1])
        sys.excepthook = self._hook
        gc.enable()

    def _reason_to_go(self) -> str:
        if self._undoable:
            return "a job called %s, which cannot be undone" % self._undoable[0]
        if _thread._count() == self._threads:
            return ""
        import time

        deadline = time.monotonic() + _PATIENCE_S
        while _thread._count() != self._threads:
            if time.monotonic() > deadline:
                return "a job left %d threads" % (_thread._count() - self._threads)
            time.sleep(0.0005)
        return ""

    def kill_children(self) -> str:
        """End what jobs left running below this worker; returns why the worker must go, or ''."""
        if killing.reap(_PATIENCE_S):
            return ""
        killed = killing.kill_below(os.getpid())
        if not killing.reap():
            return "a job left processes that do not die"
        return "a job left %d processes" % killed if killed else ""


def _numbers() -> List[int]:
    return [number for number in range(1, _signal.NSIG) if _handled(number)]


def _handled(number: int) -> bool:
    try:
        return _signal.getsignal(number) is not None
    except ValueError:
        return False


def _data(environ: Any) -> Dict[Any, Any]:
    data: Dict[Any, Any] = environ._data
    return data
