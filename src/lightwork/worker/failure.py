"""What went wrong in a job, as fields (outcome.py): with source lines for people, as the exception for programs."""

from __future__ import annotations

import _pickle
import os
import sys
from typing import Any, Dict, Optional

from lightwork.worker.travel import dumps, type_name, what_cannot_travel

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_TEXT_MAX = 64 * 1024  # of a message, and twice that of a traceback: all of it must fit into the ring
_EXCEPTION_MAX = 256 * 1024

Fields = Dict[str, bytes]
sources: Dict[str, str] = {}  # text of files that are not on this machine, by file name


def describe(error: BaseException) -> Fields:
    """Fields of an exception that left the user's code (or the unpickling of it)."""
    fields = {
        "type": _encode(type(error).__qualname__),
        "message": clip(_encode(text_of(error)), _TEXT_MAX),
        "traceback": clip(_encode(traceback_of(error)), 2 * _TEXT_MAX),
    }
    carried = _carry(error)
    if carried is not None:
        fields["exception"] = carried
    advice = hint_for(error)
    if advice:
        fields["hint"] = _encode(advice)
    return fields


def text_of(error: BaseException) -> str:
    """str(error), which is user code and may fail itself."""
    try:
        return str(error)
    except Exception as second:
        return "<%s, whose __str__ raised %s>" % (type_name(error), type(second).__name__)


def traceback_of(error: BaseException) -> str:
    """The traceback as Python prints it, with source lines and causes, without our own frames."""
    import traceback

    _show_sources()
    try:
        return "".join(traceback.format_exception(type(error), error, _user_part(error.__traceback__)))
    except Exception as second:  # a __str__ or __repr__ of the user's
        return "%s: %s (its traceback cannot be shown: %r)\n" % (type_name(error), text_of(error), type(second))


def _user_part(trace: Optional[Any]) -> Optional[Any]:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace


def _show_sources() -> None:
    """Let linecache know texts that travelled with the computation."""
    if not sources:
        return
    import linecache

    for name, text in sources.items():
        if name not in linecache.cache and not os.path.exists(name):
            linecache.cache[name] = (len(text), None, text.splitlines(True), name)


def _carry(error: BaseException) -> Optional[bytes]:
    """The exception, pickled, if it comes out of the pickle as what it was."""
    try:
        pickled = dumps(error)
        if len(pickled) > _EXCEPTION_MAX or type(_pickle.loads(pickled)) is not type(error):
            return None
    except Exception:  # its reduction or constructor is user code: then its text must do
        return None
    return pickled


def hint_for(error: BaseException) -> str:
    """What the user can do about it, where we know."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            "module %r is not installed for the interpreter %s (Python %s) on this node: install it there "
            "(%s -m pip install ...), or send it along with depends="
            % (error.name, sys.executable, sys.version.split()[0], sys.executable)
        )
    return ""


def exited(error: SystemExit) -> Fields:
    """Fields of a job that called sys.exit."""
    code = error.code
    number = 0 if code is None else code & 0xFF if isinstance(code, int) else 1
    fields = describe(error)
    fields.pop("exception", None)
    fields["type"] = b"SystemExit"
    fields["message"] = clip(_encode("the job called sys.exit(%s)" % ("" if code is None else _safe_repr(code))), 4096)
    fields["exit_code"] = b"%d" % number
    return fields


def unsendable(value: Any, error: BaseException) -> Fields:
    """Fields of a job whose result cannot be pickled: what is in the way, and where in the result it is."""
    path, culprit = what_cannot_travel(value)
    message = "%s is a %s, which cannot be sent back: %s" % (path, type_name(culprit), text_of(error))
    return {
        "type": _encode(type(error).__qualname__),
        "message": clip(_encode(message), _TEXT_MAX),
        "traceback": clip(_encode(traceback_of(error)), 2 * _TEXT_MAX),
        "hint": b"return plain data (or what it takes to make the object again), not the object itself",
    }


def not_run(error: BaseException, by_arguments: bool) -> Fields:
    """Fields of a job that could not be started: for its arguments, or for where and with what it was to run."""
    fields = describe(error)
    sentence = "its arguments cannot be loaded on the node: %s" if by_arguments else "it cannot be started here: %s"
    fields["message"] = clip(_encode(sentence % text_of(error)), _TEXT_MAX)
    return fields


def simple(kind: str, message: str, hint: str = "") -> Fields:
    """Fields of a failure that is no exception."""
    fields = {"type": _encode(kind), "message": _encode(message)}
    if hint:
        fields["hint"] = _encode(hint)
    return fields


def clip(data: bytes, limit: int) -> bytes:
    """The bytes, without their middle if they are more than `limit`."""
    if len(data) <= limit:
        return data
    half = limit // 2
    return b"%s\n... %d bytes left out ...\n%s" % (data[:half], len(data) - 2 * half, data[-half:])


def _safe_repr(value: Any) -> str:
    try:
        return "%.200r" % (value,)
    except Exception:  # user code
        return "<%s>" % type_name(value)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
