"""Results for a program that runs another version of Python: plain data, and names that it can find. Never code."""

from __future__ import annotations

import pickle
import sys
import types
from typing import Any

from lightwork.worker import travel
from lightwork.worker.loader import WrongPython, version
from lightwork.worker.source_loader import numbers


class Pickler(pickle.Pickler):
    """The standard one; but a class that the program made goes as its number, and code that it has not is refused.

    The plain pickler comes first (travel.py): what gets here has something in it that is not where its name says.
    """

    def reducer_override(self, obj: Any) -> Any:
        """Called for every object but numbers, strings and the plain containers."""
        if isinstance(obj, (type, types.FunctionType)) and not _is_where_it_says(obj):
            if isinstance(obj, type) and obj in numbers:
                return _by_number(obj, numbers[obj])
            raise WrongPython(
                "it was made by the job under Python %s, and the program runs Python %s: between these only plain data "
                "travels, and classes and functions that a module has" % (version(), travel.home)
            )
        return NotImplemented


def _is_where_it_says(obj: Any) -> bool:
    found: Any = sys.modules.get(obj.__module__)
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


def _by_number(kind: type, number: str) -> Any:
    """As cloudpickle tells the program which of its classes is meant."""
    try:
        from cloudpickle import cloudpickle
    except ImportError:
        raise WrongPython("its class is not in a module, and without cloudpickle here it cannot be named") from None
    cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[number] = kind
    return cloudpickle._lookup_class_or_track, (number, None)
