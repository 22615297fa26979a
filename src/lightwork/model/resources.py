"""What jobs may need and nodes may have, beside a free slot: names, and amounts as they travel.

cpus            slots, in thousandths: 0.25 is 250
memory, disk    bytes
gpu             a whole number
any other       a whole number, of whatever its owner counts: licences, tapes, bytes

"cpu", "slots" and "gpus" are read as "cpus" and "gpu".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from lightwork.model.errors import UserError
from lightwork.model.where_names import is_size
from lightwork.model.where_words import NUMBER_MAX, number_of, written

CPUS, MEMORY, GPU = "cpus", "memory", "gpu"
SLOT = 1000  # thousandths
CPUS_MAX = 100_000
Needed = tuple[tuple[str, int], ...]

_ALIASES = {"cpu": CPUS, "slots": CPUS, "gpus": GPU}
_NAME = re.compile(r"[^\W\d][\w.-]{0,63}")


def name_of(given: object, what: str = "resources") -> str:
    """What it is called among us. UserError: nothing can be called so."""
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise UserError(f"{what}: {given!r} is no name.", hint='a word, such as "cpus", "memory", "gpu" or "licence"')
    return _ALIASES.get(given, given)


def amount_of(name: str, given: object, what: str = "resources") -> int:
    """So much of it, as it travels: a number, or text such as "8G". UserError: it is none, or not above 0."""
    number = number_of(given) if isinstance(given, str) else given
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise _wrong(name, given, what)
    if name == CPUS:
        number = round(number * SLOT) if 0 < number <= CPUS_MAX else 0
    if int(number) != number or not 0 < number < NUMBER_MAX:
        raise _wrong(name, given, what)
    return int(number)


def _wrong(name: str, given: object, what: str) -> UserError:
    if name == CPUS:
        kind, hint = "number of slots", "2, or 0.25: four such jobs share a slot"
    elif is_size(name):
        kind, hint = "size", 'a number of bytes, or text such as "500M" or "8G"'
    else:
        kind, hint = "whole number above 0", f"{name} is counted: 1, 2, 3..."
    return UserError(f"{what}: {name}={given!r} is no {kind}.", hint=hint)


def needed(given: Mapping[str, object] | None) -> Needed:
    """What `resources=` says, in the form in which it travels; nothing but one slot: ()."""
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise UserError(
            f"resources={given!r} must be a dict.", hint='resources={"cpus": 2, "memory": "8G", "gpu": 1, "licence": 1}'
        )
    found: dict[str, int] = {}
    for key, value in given.items():
        name = name_of(key)
        if name in found:
            raise UserError(f"resources: {key!r} and {name!r} are the same.", hint="give one of them")
        found[name] = amount_of(name, value)
    if found.get(CPUS) == SLOT:
        del found[CPUS]
    return tuple(sorted(found.items()))


def assigned(words: Iterable[str], option: str = "--resource") -> dict[str, int]:
    """`NAME=AMOUNT` of a command line; a later one counts. UserError names the option."""
    found: dict[str, int] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"{option} {word}: not NAME=AMOUNT.", hint=f"{option} gpu=1, {option} memory=8G")
        name = name_of(key.strip(), option)
        found[name] = amount_of(name, value, option)
    return found


def shown(name: str, amount: int) -> str:
    """For people: `2.5 cpus`, `8G memory`, `1 gpu`."""
    return f"{written(amount / SLOT if name == CPUS else amount, size=is_size(name))} {name}"
