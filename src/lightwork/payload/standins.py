"""What pickles in source form call to make things. Only the names travel: workers have functions of their own for them
(worker/source_loader.py), which know the scopes of the computation."""

from __future__ import annotations

from typing import NoReturn


def function(*args: object) -> NoReturn:
    """A function that has neither globals nor defaults yet."""
    raise _elsewhere()


def function_state(*args: object) -> NoReturn:
    """The rest of it."""
    raise _elsewhere()


def class_(*args: object) -> NoReturn:
    """A class, by running its statement."""
    raise _elsewhere()


def class_state(*args: object) -> NoReturn:
    """What its methods need, and what was changed since it was made."""
    raise _elsewhere()


def class_by_call(*args: object) -> NoReturn:
    """A class that type(), namedtuple() or Enum() made."""
    raise _elsewhere()


def attribute(*args: object) -> NoReturn:
    """A class that is an attribute of another."""
    raise _elsewhere()


def scope(*args: object) -> NoReturn:
    """The globals of functions that go as source."""
    raise _elsewhere()


def globals_of(*args: object) -> NoReturn:
    """The globals of a module that can be imported."""
    raise _elsewhere()


def bind(*args: object) -> NoReturn:
    """A global gets its value."""
    raise _elsewhere()


def module(*args: object) -> NoReturn:
    """A module that can be imported."""
    raise _elsewhere()


def cell(*args: object) -> NoReturn:
    """A variable of a closure, still without a value."""
    raise _elsewhere()


def method(*args: object) -> NoReturn:
    """A bound method."""
    raise _elsewhere()


def dispatcher(*args: object) -> NoReturn:
    """A functools.singledispatch function."""
    raise _elsewhere()


def builtin_type(*args: object) -> NoReturn:
    """A type of the module `types`."""
    raise _elsewhere()


def type_variable(*args: object) -> NoReturn:
    """A TypeVar of the user's."""
    raise _elsewhere()


def _elsewhere() -> TypeError:
    return TypeError("this is for workers only")
