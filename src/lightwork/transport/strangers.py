"""Connections to a listener that have not said who they are: they must not crowd out those that will.

Each has HELLO_S to get through handshake and hello. Beyond so many of them (in all, and from one source) the oldest
is closed for the newest: a crowd of silent ones displaces itself, and a peer of ours is up within milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable

from lightwork.config.limits import STRANGERS_A_SOURCE, STRANGERS_MAX

TurnAway = Callable[[], None]


class Strangers:
    """Who has come to one listener and is not up yet, in order of arrival."""

    def __init__(self, most: int = STRANGERS_MAX, most_a_source: int = STRANGERS_A_SOURCE) -> None:
        self._most, self._most_a_source = most, most_a_source
        self._all: dict[object, tuple[str, TurnAway]] = {}
        self._by_source: dict[str, dict[object, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def came(self, who: object, host: str, turn_away: TurnAway) -> None:
        """One more; `turn_away` will be called if it has to make room."""
        source = source_of(host)
        siblings = self._by_source.setdefault(source, {})
        if len(siblings) >= self._most_a_source:
            self._displace(next(iter(siblings)))
        elif len(self._all) >= self._most:
            self.displace_oldest()
        self._all[who] = (source, turn_away)
        self._by_source.setdefault(source, {})[who] = None

    def left(self, who: object) -> None:
        """It is up, or gone."""
        found = self._all.pop(who, None)
        if found is not None:
            siblings = self._by_source[found[0]]
            del siblings[who]
            if not siblings:
                del self._by_source[found[0]]

    def displace_oldest(self) -> None:
        """Room for something else, if there is anybody."""
        if self._all:
            self._displace(next(iter(self._all)))

    def _displace(self, who: object) -> None:
        _, turn_away = self._all[who]
        self.left(who)
        turn_away()


def source_of(host: str) -> str:
    """What one machine can vary at will is one source: an IPv6 network of 64 bits."""
    if ":" not in host:
        return host
    import ipaddress

    try:
        number = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(int(number) >> 64) if number.ipv4_mapped is None else str(number.ipv4_mapped)
