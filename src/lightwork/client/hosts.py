"""Machines of a scheduler, for all who use it: add and remove them, drain them, put them into groups."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lightwork.client import networking
from lightwork.client.allocation import place_of, specs_of
from lightwork.kit.text import listed, span
from lightwork.model.errors import NotReady, UserError
from lightwork.wire.messages import AskHosts, ChangeHosts, Hosts, HostStatus, NodeStatus, SetPolicy

if TYPE_CHECKING:
    from lightwork.client.asking import Reply
    from lightwork.client.session import Session

Machine = str | NodeStatus | HostStatus
LOOK_S = 0.5
NAME_MAX = 255
_LEAVING = "draining", "being removed"  # how the state of a machine begins on which jobs still run
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
_HINT = '"lab1", "192.168.3.4", a pattern such as "lab*", "@group", one of cluster.hosts(), or a list of these'


class HostControl:
    """A part of JobCluster. Machines are named by name, address, pattern or "@group"; what is said holds for all
    sessions, for machines that come later, too, and over restarts of the scheduler. The last word counts.

    Each call returns names of those that are connected and concerned. ClusterError: it cannot be done.
    """

    _session: Session
    _network: networking.Network

    def hosts(self) -> list[HostStatus]:
        """The machines that the scheduler knows, connected or not: name, address, state, groups, by, text, policy."""
        return self._hosts().hosts

    def add_hosts(self, hosts: Machine | Iterable[Machine], *, group: str = "") -> list[str]:
        """Look for these, and take back an earlier `remove_hosts`; `group`: they belong to it from now on."""
        names = names_of(hosts)
        network = self._network
        for name in names if not network.shared else ():
            for spec in specs_of(name) if not name.startswith("@") else ():
                networking.check_reach(network.credential, *place_of(spec), weak_secret=network.weak_secret)
        return self._change("add", names, group=_group(group, "add_hosts") if group else "")

    def remove_hosts(
        self,
        hosts: Machine | Iterable[Machine],
        *,
        now: bool = False,
        wait: bool = False,
        timeout: float | None = None,
    ) -> list[str]:
        """No new jobs there; when those that run have ended they are let go, and not used again.

        `now`: those that run are killed, and started again elsewhere. `wait`: returns when they have ended; NotReady
        if they have not within `timeout` seconds.
        """
        return self._let_end("remove", hosts, wait=wait, timeout=timeout, now=now)

    def drain(
        self,
        hosts: Machine | Iterable[Machine],
        *,
        now: bool = False,
        wait: bool = False,
        timeout: float | None = None,
    ) -> list[str]:
        """No new jobs there, of anybody; what has not started goes elsewhere. They stay connected, until `resume`.

        `now`, `wait` and `timeout` as for `remove_hosts`.
        """
        return self._let_end("drain", hosts, wait=wait, timeout=timeout, now=now)

    def resume(self, hosts: Machine | Iterable[Machine]) -> list[str]:
        """Take back a `drain`."""
        return self._change("resume", names_of(hosts))

    def group_hosts(self, hosts: Machine | Iterable[Machine], group: str) -> list[str]:
        """They belong to this group, too: `where='group == "render"'` finds them."""
        return self._change("group", names_of(hosts), group=_group(group, "group_hosts"))

    def ungroup_hosts(self, hosts: Machine | Iterable[Machine], group: str) -> list[str]:
        """They do not belong to this group any more."""
        return self._change("ungroup", names_of(hosts), group=_group(group, "ungroup_hosts"))

    def host_policy(
        self,
        hosts: Machine | Iterable[Machine],
        *,
        service_start: str | None = None,
        service_stop: str | None = None,
        service_end: str | None = None,
        serve: int | None = None,
        slots: int | None = None,
    ) -> list[str]:
        """How their nodes are to work, for all. None: as it was.

        service_start   "HH:MM", by the clock there: jobs may begin from then on
        service_stop    no new jobs from then on; those that run go on. The same as service_start: at any time
        service_end     those that still run are ended, and run elsewhere
        serve           so many clients more, then they leave; 0: those that are there now; -1: any number
        slots           so many are used, at most all that a node has; negative: so many are left free
        """
        if serve is not None and (isinstance(serve, bool) or not isinstance(serve, int) or serve < -1):
            raise UserError(f"serve={serve!r} must be a number of clients, or -1 for any number.")
        if slots is not None and (isinstance(slots, bool) or not isinstance(slots, int)):
            raise UserError(f"slots={slots!r} must be a whole number.")
        policy = SetPolicy(
            _minutes("service_start", service_start),
            _minutes("service_stop", service_stop),
            _minutes("service_end", service_end),
            -2 if serve is None else serve,
            slots=slots,
        )
        return self._change("policy", names_of(hosts), policy=policy)

    # --- how ---

    def _hosts(self) -> Hosts:
        return self._session.questions.ask_for(Hosts, AskHosts, "the list of machines")

    def _change(
        self, action: str, names: list[str], *, group: str = "", now: bool = False, policy: SetPolicy | None = None
    ) -> list[str]:
        answer = self._session.questions.ask(
            lambda number: ChangeHosts(number, action, names, group, now, policy=policy),
            f"the scheduler to {action} {listed(names)}",
        )
        return answer.nodes

    def _let_end(
        self, action: str, hosts: Machine | Iterable[Machine], *, wait: bool, timeout: float | None, now: bool
    ) -> list[str]:
        began = time.monotonic()
        changed = self._change(action, names_of(hosts), now=now)
        if wait and changed and not self._wait_for_ends(set(changed), timeout):
            waited = span(time.monotonic() - began)
            raise NotReady(f"jobs on {listed(sorted(changed))} have not ended within {waited}")
        return changed

    def _wait_for_ends(self, names: set[str], timeout: float | None) -> bool:
        """Ask for the machines' states now and then, until nothing runs on these."""
        session = self._session
        left = sorted(names)
        due: float | None = 0.0  # None: the answer is not there yet

        def look() -> None:
            nonlocal due
            if due is not None and time.monotonic() >= due:
                due = None
                session.questions.post(AskHosts, told)

        def told(answer: Reply) -> None:
            nonlocal left, due
            due = time.monotonic() + LOOK_S
            if isinstance(answer, Hosts):
                left = sorted(one.name for one in answer.hosts if one.name in names and one.state.startswith(_LEAVING))
                if not left:
                    session.connection.stir()

        ended = session.waits.until(
            lambda: not left or session.connection.closed,
            timeout,
            lambda: f"the jobs on {listed(left)} to end",
            steadily=True,
            tick=look,
        )
        session.check()
        return ended


def names_of(hosts: Machine | Iterable[Machine]) -> list[str]:
    """One machine or several, as the scheduler is told of them."""
    if isinstance(hosts, Machine):
        hosts = [hosts]
    if not isinstance(hosts, Iterable) or isinstance(hosts, bytes):
        raise UserError(f"hosts: {hosts!r} is no machine.", hint=_HINT)
    found = [_name(host) for host in hosts]
    if not found:
        raise UserError("hosts: there is none.", hint=_HINT)
    return list(dict.fromkeys(found))


def _name(host: object) -> str:
    name = host.name if isinstance(host, NodeStatus | HostStatus) else host
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_MAX or not name.isprintable():
        raise UserError(f"hosts: {name!r} is no machine.", hint=_HINT)
    return name.strip()


def _group(group: object, what: str) -> str:
    name = group.removeprefix("@") if isinstance(group, str) else ""
    if not re.fullmatch(r"[\w.-]{1,64}", name):
        raise UserError(f"{what}: {group!r} is no name of a group.", hint='a word, such as "render"')
    return name


def _minutes(name: str, given: object) -> int:
    """Since midnight; -1: not given."""
    if given is None:
        return -1
    match = _CLOCK.fullmatch(given) if isinstance(given, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise UserError(f"{name}={given!r} is no time of day.", hint='"08:00", "23:30"')
    return 60 * int(match[1]) + int(match[2])
