"""A package of a user's own, as he has it beside his program."""

from . import numbers as figures  # noqa: TID252

FACTOR = figures.FACTOR
