"""How numbers are written for people: sizes, spans of time, counts, long lists."""

from __future__ import annotations

from collections.abc import Sequence

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: int) -> str:
    """`1536` is "1.5 KiB"."""
    number, unit = float(count), 0
    while abs(number) >= 999.5 and unit < len(_SIZES) - 1:
        number /= 1024
        unit += 1
    digits = 0 if unit == 0 or abs(number) >= 99.95 else 1
    return f"{number:.{digits}f} {_SIZES[unit]}"


def span(seconds: float) -> str:
    """`0.0042` is "4.2 ms", `75` is "1 min 15 s", `90000` is "1 d 1 h"."""
    if seconds < 0:
        return "-" + span(-seconds)
    for limit, factor, unit in ((0.0009995, 1e6, "us"), (0.9995, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    return _long_span(round(seconds))


def _long_span(seconds: int) -> str:
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    first = next(index for index, (length, _) in enumerate(units) if seconds >= length)
    length, unit = units[first]
    text = f"{seconds // length} {unit}"
    if first + 1 == len(units):
        return text
    finer, finer_unit = units[first + 1]
    rest = seconds % length // finer
    return f"{text} {rest} {finer_unit}" if rest else text


def count(number: int, noun: str, plural: str = "") -> str:
    """`count(2000, "job")` is "2,000 jobs"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """`["a", "b", "c"]` is "a, b and c"; past `most` the rest is counted."""
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most:,} more"
    if len(names) > 1:
        return ", ".join(names[:-1]) + " and " + names[-1]
    return names[0] if names else "none"


def ordinal(number: int) -> str:
    """`2` is "2nd", `11` is "11th"."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
