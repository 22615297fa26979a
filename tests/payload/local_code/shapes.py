"""A module with relative imports; one of them inside of a function, one by a computed name."""

from __future__ import annotations

import importlib

from .inner.base import Base  # noqa: TID252


class Square(Base):
    def __init__(self, side: int) -> None:
        self.side = side

    def area(self) -> int:
        from . import numbers  # noqa: TID252

        return self.side * self.side * numbers.FACTOR

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Square) and other.side == self.side


def plugin(name: str) -> str:
    return importlib.import_module(f"{__package__}.inner.{name}").ANSWER
