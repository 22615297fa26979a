"""Functions without a name that others could import them by: they travel by value, as bytecode or as source."""

from __future__ import annotations

import sys

begun = "nothing"


def closures():
    """A function, its setup and cleanup."""
    factor = 3
    calls = []

    def begin(name):
        global begun
        begun = f"{name} under {sys.version_info[0]}.{sys.version_info[1]}"

    def compute(n):
        calls.append(n)
        return n * factor, begun, sys.version_info[:2], len(calls)

    def end(name):
        with open("../../ended", "a") as opened:
            opened.write(begun + "\n")

    return compute, begin, end


def table_reader(table):
    """A function that has much with it."""

    def look_up(n):
        return table[n]

    return look_up
