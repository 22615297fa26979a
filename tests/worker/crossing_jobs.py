"""Functions for tests of other interpreters, in Python 3.8: by name from here, by value as those of a program."""

from __future__ import annotations

from typing import Any


def raises_local() -> None:
    n = 3

    class Hidden(Exception):
        pass

    raise Hidden(n)


def gives(kind: str) -> Any:
    made = {"lambda": lambda: 1, "class": type("Made", (), {}), "data": {"a": (1, 2.5, b"x", None)}}
    return [made[kind]]


def numbers() -> dict[str, int]:
    return {"n": 0}


TABLE = numbers()


def prepare(value: int, *, more: int = 0) -> int:
    global ready
    ready = value
    TABLE["n"] = value + more
    return value * 2


def tidy(value: int) -> None:
    print("tidied", value, ready)


def use(n: int) -> tuple[Any, ...]:
    import lightwork

    return n, ready, TABLE["n"], lightwork.node_value()


def also(n: int) -> tuple[Any, ...]:
    return n, ready, TABLE["n"]
