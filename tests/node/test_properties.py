"""The core against model workers and chance: whatever happens, each attempt ends once, and none is lost.

The model worker keeps the rules of wire/shared_file.py: it runs in order, skips what was revoked, may take a moment
between the started word and looking at the revoke word, and may die or retire at any time.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from msgspec.structs import replace

from lightwork.node.core import events as on
from lightwork.node.core.check import check
from lightwork.node.core.core import Core
from lightwork.wire.messages import Computation, Died, Ended, JobOptions, Load, Released, Returned
from lightwork.wire.outcome import REVOKED

MS = 1_000_000
PYTHONS = [(3, 11), (3, 8)]


class ModelWorker:
    def __init__(self, number, python):
        self.number, self.python = number, python
        self.line: deque[tuple[int, int]] = deque()  # (serial, token)
        self.sent = self.revoke = 0
        self.started = self.started_ns = self.looked = 0
        self.ring = []
        self.state = "alive"  # quitting, killed

    def step(self, world):
        """One small step: start, look at the revoke word, or end."""
        if self.started and not self.looked:
            serial, token = self.line[0]
            if self.revoke >= serial:
                self.line.popleft()
                self.started = 0
                self.ring.append((token, world.now, 0, REVOKED))
            else:
                self.looked = 1
                world.ran[token] = world.ran.get(token, 0) + 1
        elif self.started and self.looked:
            serial, token = self.line.popleft()
            self.ring.append((token, self.started_ns, world.now - self.started_ns, 0))
            self.started = self.looked = 0
        elif self.line:
            self.started, self.started_ns, self.looked = self.line[0][1], world.now, 0


class World:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.slots = self.rng.randint(1, 4)
        self.gpus = self.rng.randint(0, 3)
        self.core = Core(self.slots, portable := self.rng.random() < 0.3, gpus=self.gpus)
        self.portable = portable
        self.core.offer(PYTHONS)
        self.versions = {name: self.rng.choice(PYTHONS) for name in "fghi"}
        self.now = 1
        self.workers = {}
        self.templates = set()
        self.ran = {}
        self.given, self.fates = set(), {}
        self.asked = set()
        self.arguments = set()
        self.revokes = []  # (due, worker, serial)
        self.setups = []
        self.cleaning = False
        self.next = 0

    def feed(self, event):
        for command in self.core.handle(event, self.now):
            getattr(self, "_" + type(command).__name__, lambda command: None)(command)
        wrong = check(self.core)
        assert not wrong, wrong

    # --- commands ---

    def _Fork(self, command):
        self.workers[command.worker] = ModelWorker(command.worker, command.python)

    def _Load(self, command):
        assert self.workers[command.worker].python == PYTHONS.index(command.computation.python)

    def _Run(self, command):
        worker = self.workers.get(command.worker)
        assert worker is not None
        assert worker.state == "alive", "a worker that is leaving gets nothing more"
        for token in command.tokens:
            worker.sent += 1
            worker.line.append((worker.sent, token))

    def _TakeBack(self, command):
        worker = self.workers[command.worker]
        assert command.serial == worker.sent
        worker.revoke = max(worker.revoke, command.serial)
        self.revokes.append((self.now + MS, command.worker, command.serial))

    def _Quit(self, command):
        worker = self.workers.get(command.worker)
        if worker is not None and worker.state == "alive":
            worker.state = "quitting"

    def _Kill(self, command):
        worker = self.workers.get(command.worker)
        if worker is not None:
            worker.state = "killed"

    def _Terminate(self, command):
        self._Kill(command)

    def _PlaceFiles(self, command):
        self.setups.append(on.FilesPlaced(command.session, command.computation.digest))

    def _RunSetup(self, command):
        self.setups.append(on.SetupDone(command.session, command.environment))

    def _FetchArgument(self, command):
        assert command.token not in self.arguments
        self.arguments.add(command.token)
        failure = {"type": b"x"} if self.rng.random() < 0.2 else {}
        self.setups.append(on.ArgumentFetched(command.batch, b"r" * 16, True, failure))

    def _FreeArgument(self, command):
        self.arguments.remove(command.token)

    def _CollectOutputs(self, command):
        self.setups.append(on.OutputsCollected(command.token, []))

    def _CleanSession(self, command):
        assert not self.cleaning
        self.cleaning = True
        self.setups = [one for one in self.setups if isinstance(one, on.OutputsCollected | on.ArgumentFetched)]

    def _Send(self, command):
        message = command.message
        if isinstance(message, Released):  # it answers for all that was here but what still waits for its outputs
            gone = self.given - set(self.fates) - set(self.core.tokens())
            self.fates.update(dict.fromkeys(gone, "released"))
        kinds: dict[Any, str] = {Ended: "ended", Died: "died", Returned: "returned"}
        kind = kinds.get(type(message))
        if kind is None:
            return
        for index, token in enumerate(message.tokens):
            assert token in self.given
            assert token not in self.fates, f"{token} was {self.fates[token]}, now {kind}"
            ran = self.ran.get(token, 0)
            assert ran <= 1, f"{token} ran {ran} times"
            if kind == "ended" and message.statuses[index] & 0xFF == 0:
                assert ran == 1
            if kind == "returned" or (kind == "ended" and message.ages_ns[index] == 0 and not ran):
                assert not ran
            self.fates[token] = kind

    # --- what happens ---

    def turn(self):
        rng = self.rng
        self.now += rng.choice([1000, 20_000, 300_000, 3 * MS])
        for due, number, serial in [one for one in self.revokes if one[0] <= self.now]:
            self.revokes.remove((due, number, serial))
            worker = self.workers.get(number)
            if worker is not None and worker.state != "dead":
                # The rules give the worker 1 ms to look: it has looked by now.
                if worker.started and not worker.looked:
                    worker.step(self)
                ended = [token for token, _, _, status in worker.ring if status != REVOKED]
                self.feed(on.TakenBack(number, serial, worker.started, ended))
        for worker in list(self.workers.values()):
            self.act(worker)
        if self.setups and rng.random() < 0.5:
            self.feed(self.setups.pop(0))
        if self.cleaning and all(worker.state == "alive" for worker in self.workers.values()):
            self.cleaning = False
            self.feed(on.SessionCleaned("s"))
            self.give()

    def act(self, worker):
        rng = self.rng
        if worker.state == "killed" and rng.random() < 0.5:
            self.bury(worker)
            return
        if worker.state == "quitting" and not worker.line:
            self.bury(worker)
            return
        for _ in range(rng.choice([0, 1, 1, 3, 20])):
            worker.step(self)
        if worker.ring and rng.random() < 0.7:
            self.drain(worker)

    def drain(self, worker):
        rows, worker.ring = worker.ring, []
        if rows:
            tokens, starts, durations, statuses = map(list, zip(*rows))
            body = b"r" * len(rows)
            self.feed(on.JobsEnded(worker.number, tokens, starts, durations, [1] * len(rows), statuses, body))

    def bury(self, worker, with_keeper=False):
        self.drain(worker)
        del self.workers[worker.number]
        if worker.started and not worker.looked:
            self.ran.setdefault(worker.started, 0)
        death = on.Death(0, 9)
        self.feed(on.WorkerDied(worker.number, worker.started, worker.started_ns, death, with_keeper))

    def chance(self):
        rng = self.rng
        alive = [worker for worker in self.workers.values() if worker.state == "alive"]
        roll = rng.random()
        open_tokens = sorted(self.given - set(self.fates))
        some = rng.sample(open_tokens, min(len(open_tokens), rng.randint(1, 8)))
        if roll < 0.3:
            self.assign()
        elif roll < 0.5:
            words = [on.Word(one.number, one.started, one.started_ns) for one in alive]
            self.feed(on.Ticked(words))
        elif roll < 0.56:
            self.feed(on.StopAsked(some, rng.random() < 0.5))
        elif roll < 0.62:
            self.feed(on.ReturnAsked(some))
        elif roll < 0.66 and alive:
            self.bury(rng.choice(alive))
        elif roll < 0.69 and alive:
            self.retire(rng.choice(alive))
        elif roll < 0.70 and not self.portable:
            python = rng.choice([0, 1])
            self.feed(on.KeeperDied(python))
            for worker in [one for one in self.workers.values() if one.python == python]:
                self.bury(worker, with_keeper=True)
        elif roll < 0.73:
            self.feed(on.SlotsSet(rng.randint(0, 5)))
        elif roll < 0.75:
            self.feed(on.BeatDue(1, [], Load(), unwilling=rng.choice(["", "closed"])))
            if self.core.unwilling and rng.random() < 0.3:
                self.feed(on.Ousted("closed"))
        elif roll < 0.76:
            self.feed(on.SessionEnded("s"))
        elif roll < 0.77 and self.cleaning:
            self.give()

    def retire(self, worker):
        while worker.started:
            worker.step(self)
        self.drain(worker)
        worker.line.clear()
        self.feed(on.WorkerRetired(worker.number))

    def assign(self):
        rng = self.rng
        tokens = list(range(self.next + 1, self.next + 1 + rng.choice([1, 2, 7, 60])))
        self.next = tokens[-1]
        self.given.update(tokens)
        options = rng.choice([JobOptions(), JobOptions(timeout_ns=40 * MS), JobOptions(outputs=("*",))])
        if rng.random() < 0.3:
            cpus, gpus = rng.choice([250, 500, 1000, 2000, 3500]), rng.randint(0, self.gpus)
            options = replace(options, resources=(("cpus", cpus), *([("gpu", gpus)] if gpus else [])))
        name = rng.choice("fffghi")
        apart = {token: 1000 for token in tokens if rng.random() < 0.1}
        lengths = [0 if token in apart else 1 for token in tokens]
        self.feed(on.AttemptsAssigned("s", name, tokens, lengths, options, b"a" * sum(lengths), apart))
        assert not self.cleaning or self.fates.keys() >= set(tokens)

    def give(self):
        for name in "fghi":
            setup = b"x" if name in "gh" else b""
            isolation = "process" if name == "i" else "worker"
            environment = "e" if name in "gh" else ""
            one = Computation(name, "function", name, setup=setup, isolation=isolation, environment=environment)
            self.feed(on.ComputationGiven("s", replace(one, python=self.versions[name])))

    def run(self, turns):
        self.feed(on.Attached())
        self.give()
        for _ in range(turns):
            self.chance()
            self.turn()
        self.feed(on.SlotsSet(self.slots))
        self.feed(on.BeatDue(2, [], Load()))
        if self.rng.random() < 0.3:
            self.feed(on.LeaveAsked("stopped"))
        for _ in range(20_000):
            if not self.given - set(self.fates):
                break
            words = [on.Word(one.number, one.started, one.started_ns) for one in self.workers.values()]
            self.feed(on.Ticked(words))
            self.turn()


def live(seed):
    world = World(seed)
    world.run(250)
    assert set(world.fates) == world.given
    assert world.core.held.tokens() == []
    assert world.arguments == set()
    assert world.core.workers.gpus.free == world.gpus
    assert world.core.workers.used == 0


@pytest.mark.parametrize("seed", range(15))
def test_each_attempt_ends_once(seed):
    live(seed)


@pytest.mark.slow
def test_each_attempt_ends_once_at_length():
    for seed in range(100, 140):
        live(seed)
