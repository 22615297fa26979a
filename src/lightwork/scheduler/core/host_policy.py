"""How nodes are to work, as was said by words about hosts: their hours, the clients that they serve, their slots.

A word need not say all of it: each part is a rule of its own (`host_rules`), and for each part the last word holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from lightwork.wire.messages import SetPolicy

UNSAID = SetPolicy()
ANY, AS_IT_WAS, NO_END = -1, -2, -2  # of `clients`, and of `service_end`
HOURS = ("service_start", "service_stop", "service_end")
PARTS_MAX = len(SetPolicy.__struct_fields__) - 1
DAY_MIN, CLIENTS_MAX, SLOTS_MAX = 1440, 1_000_000, 65_536


def said(policy: SetPolicy) -> dict[str, int]:
    """What it says; the rest is as it was."""
    fields = ((name, getattr(policy, name)) for name in policy.__struct_fields__)
    return {name: value for name, value in fields if value != getattr(UNSAID, name)}


def parts(policy: SetPolicy) -> Iterator[tuple[str, SetPolicy]]:
    """What is kept of it, part by part. That those who are there now shall leave (clients: 0) is not."""
    found = said(policy)
    word = found.pop("word", 0)
    if policy.service_start == policy.service_stop >= 0:  # at any time
        found["service_end"] = NO_END
    if not policy.clients:
        del found["clients"]
    for name, value in found.items():
        yield name, replace(UNSAID, **{name: value}, word=word if name == "clients" else 0)


def merged(words: Iterable[SetPolicy]) -> SetPolicy:
    """What holds after these, in order."""
    holds: dict[str, int] = {}
    for word in words:
        holds |= said(word)
    return replace(UNSAID, **holds)


def wrong_with(policy: SetPolicy | None) -> tuple[str, str] | None:
    """A sentence, and what to do; None: it can be obeyed."""
    if policy is None or not said(replace(policy, word=0)):
        return "nothing is said about how they are to work", "service_start, service_stop, service_end, serve, or slots"
    start, stop, end = (getattr(policy, name) for name in HOURS)
    wrong = next((minute for minute in (start, stop, end) if not NO_END <= minute < DAY_MIN), None)
    if wrong is not None:
        return f"there is no minute {wrong} of a day", "they are counted from midnight"
    if not AS_IT_WAS <= policy.clients <= CLIENTS_MAX:
        return f"{policy.clients} is no number of clients to serve", f"at most {CLIENTS_MAX:,}; -1: any number"
    if policy.slots is not None and abs(policy.slots) > SLOTS_MAX:
        return f"{policy.slots} is no number of slots", f"at most {SLOTS_MAX:,}; negative: so many are left free"
    if min(start, stop, end) >= 0 and start != stop and (end - start) % DAY_MIN < (stop - start) % DAY_MIN:
        what = f"service hours end at {_clock(end)}, before they stop at {_clock(stop)}"
        return what, f"they start at {_clock(start)}; stop comes first, then end"
    return None


def shown(policy: SetPolicy) -> dict[str, str | int]:
    """For people, in the words of `host_policy`."""
    found: dict[str, str | int] = {}
    for name, value in said(policy).items():
        if name in HOURS and value >= 0:
            found[name] = _clock(value)
        elif name in ("clients", "slots"):
            found["serve" if name == "clients" else name] = value
    return found


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
