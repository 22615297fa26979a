"""What is ready to run here, and in which environment.

    FETCHING --files placed--> SETTING_UP --setup done--> READY --session ended--> GONE
        |        (no setup: READY at once)   |               |
        +-------------> FAILED <-------------+               +--keeper died--> SETTING_UP (if there is a template)

An *environment* is what computations of one session share: a directory, the workers that have loaded some of them, and
if there is a setup the template process from which these are forked.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from lightwork.config.timers import WINDOW_S
from lightwork.node.core.interpreters import ANY
from lightwork.wire.messages import FUNCTION, Computation

WINDOW_NS = int(WINDOW_S * 1e9)
WORKER_WINDOW_JOBS_MAX = 1024  # in flight to one worker: two full frames


class Stage(enum.Enum):
    """How far the preparation of a computation is."""

    FETCHING = 0
    SETTING_UP = 1
    READY = 2
    FAILED = 3
    GONE = 4  # its session is over


class Environment(Struct, eq=False):
    """What computations of a session share on this node."""

    session: str
    name: str
    setup: bytes
    template: bool = False  # workers are forked from a process where setup ran
    slot: int = 0  # of the computation that they are born with
    deaths: int = 0  # workers that died in a row without having started anything
    python: int = ANY  # the interpreter of its workers and template; ANY: it has had only programs

    def suits(self, computation: Computation, python: int) -> bool:
        """Whether a computation for this interpreter may share it."""
        return self.setup == computation.setup and (python == self.python or ANY in (python, self.python))


class Definition(Struct, eq=False):
    """One computation of one session, as this node knows it."""

    session: str
    computation: Computation
    environment: Environment
    slot: int = 0  # under which workers hold it; 0: none does (seats.py)
    stage: Stage = Stage.FETCHING
    mean_ns: float = 0.0  # duration of a job; 0: none has ended
    failure: dict[str, bytes] = {}
    epoch: int = 0  # of its session, when it was given

    @property
    def program(self) -> bool:
        """Whether its jobs are processes of their own."""
        return self.computation.kind != FUNCTION

    @property
    def fresh(self) -> bool:
        """Whether each job wants a process of its own."""
        return self.computation.isolation == "process"

    @property
    def window(self) -> int:
        """How many jobs a worker may have: about 50 ms of work, one while nothing is known."""
        if self.mean_ns <= 0.0 or self.fresh:
            return 1
        return max(1, min(int(WINDOW_NS / self.mean_ns), WORKER_WINDOW_JOBS_MAX))

    def measured(self, count: int, total_ns: int) -> None:
        """Jobs ended: the mean follows them quickly."""
        mean = max(total_ns / count, 1.0)
        self.mean_ns = mean if self.mean_ns <= 0.0 else self.mean_ns + (mean - self.mean_ns) * 0.5


class Computations:
    """All computations given to this node, by session and digest."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Definition] = {}
        self._environments: dict[tuple[str, str], Environment] = {}

    def get(self, session: str, digest: str) -> Definition | None:
        """The computation, if it was given."""
        return self._known.get((session, digest))

    def epochs(self) -> dict[str, int]:
        """By session that has something here: the latest epoch of a computation that is ready; 0: none is."""
        found = {session: 0 for session, _ in self._known}
        for (session, _), one in self._known.items():
            if one.stage is Stage.READY:
                found[session] = max(found[session], one.epoch)
        return found

    def add(self, session: str, computation: Computation, python: int = ANY) -> Definition:
        """A computation that is new here; `python`: the number of the interpreter that it is for."""
        definition = Definition(session, computation, self._environment(session, computation, python))
        self._known[session, computation.digest] = definition
        return definition

    def of_session(self, session: str) -> list[Definition]:
        """All of one session."""
        return [definition for (owner, _), definition in self._known.items() if owner == session]

    def of_environment(self, environment: Environment) -> list[Definition]:
        """All that share an environment."""
        return [definition for definition in self._known.values() if definition.environment is environment]

    def sessions(self) -> list[str]:
        """All that have some here."""
        return list(dict.fromkeys(session for session, _ in self._known))

    def remove_session(self, session: str) -> None:
        """The session is over."""
        self._known = {key: known for key, known in self._known.items() if key[0] != session}
        self._environments = {key: known for key, known in self._environments.items() if key[0] != session}

    def set_up(self) -> list[Definition]:
        """Those whose setup must run again if their templates are gone."""
        return [one for one in self._known.values() if one.environment.template and one.stage is Stage.READY]

    def setting_up(self) -> list[Definition]:
        """Those whose setup is under way."""
        return [one for one in self._known.values() if one.stage is Stage.SETTING_UP]

    def environment(self, session: str, name: str) -> Environment | None:
        """An environment, if there is one."""
        return self._environments.get((session, name))

    def _environment(self, session: str, computation: Computation, python: int) -> Environment:
        """Shared by name; but two setups never share one, nor do two interpreters."""
        name = computation.environment or computation.digest
        found = self._environments.get((session, name))
        if found is not None and not found.suits(computation, python):
            name = computation.digest
            found = self._environments.get((session, name))
        if found is None:
            found = self._environments[session, name] = Environment(session, name, computation.setup)
        if found.python == ANY:
            found.python = python
        return found
