"""What becomes of attempts in flight: they end, come back unstarted, die with their worker, or are stopped.

A worker's death blames one attempt at most: the one that had started and has no record. All others never started and
stand first in line again; they keep their tokens.
"""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.node.core import events as on
from lightwork.node.core.commands import Command, Kill, Quit, Send
from lightwork.node.core.computations import Stage
from lightwork.node.core.dispatch import Dispatch
from lightwork.node.core.endings import (
    NOT_STARTED,
    OUSTED,
    cancelled,
    lost,
    not_run,
    ousted,
    own_death,
    program_end,
    sentenced,
)
from lightwork.node.core.files import End, Files, without
from lightwork.node.core.held import Batch, Held
from lightwork.node.core.preparation import Preparation
from lightwork.node.core.watch import Watch
from lightwork.node.core.workers import Verdict, Worker, Workers
from lightwork.wire.messages import Died, Ended
from lightwork.wire.outcome import APART, CANCELLED, ENVELOPE, IN_ARENA, KIND_MASK, NOT_RUN, RETURNED, REVOKED


class Fates:
    """Ends attempts, one way or another."""

    def __init__(
        self,
        held: Held,
        workers: Workers,
        dispatch: Dispatch,
        watch: Watch,
        files: Files,
        preparation: Preparation,
        out: list[Command],
    ) -> None:
        self._held = held
        self._workers = workers
        self._dispatch = dispatch
        self._watch = watch
        self._files = files
        self._preparation = preparation
        self._out = out
        self._stops: dict[int, bool] = {}  # in flight, to be ended; value: at once
        self._asked: set[int] = set()  # in flight, to be given back
        self._ousts: dict[int, str] = {}  # in flight: to be ended if it has started, and why; else given back

    @property
    def ordered(self) -> set[int]:
        """Attempts in flight that somebody wants ended or back."""
        return self._stops.keys() | self._asked | self._ousts.keys()

    # --- by their own word ---

    def ended(self, worker: Worker, event: on.JobsEnded, now: int) -> None:
        """Records from a worker's ring. (The hot path: nothing here looks at single jobs but for a reason.)"""
        if REVOKED in event.statuses:
            event = self._without_skipped(worker, event, now)
        tokens = event.tokens
        if not tokens:
            return
        definition = worker.flights[0].definition if worker.flights else None
        if definition is None or not worker.settle(tokens):
            self.distrust(worker)
            return
        definition.measured(len(tokens), sum(event.durations_ns))
        definition.environment.deaths = 0
        worker.told = 0
        verdict = worker.verdict
        self._after_end(worker, tokens)
        if verdict is not None and verdict.kind == OUSTED:
            event = self._without_ousted(event, verdict, now)
        if definition.stage is Stage.FAILED:
            event = self._without_unloaded(event)
        if self._files.concern(event.tokens):
            event = self._files.ended(event, now)
        if event.tokens and (definition.stage is not Stage.GONE or _in_arena(event)):
            ages = [now - start for start in event.starts_ns]
            message = Ended(event.tokens, event.statuses, ages, event.durations_ns, event.lengths)
            self._out.append(Send(message, event.body))
        if not worker.load:
            self._emptied(worker, now)

    def _after_end(self, worker: Worker, tokens: list[int]) -> None:
        """Orders about attempts that were faster than the order."""
        if worker.verdict is not None and worker.verdict.token in tokens and worker.verdict.step < 2:
            worker.verdict = None
        if self._stops or self._asked or self._ousts:
            self._forget_orders(tokens)

    def _forget_orders(self, tokens: Iterable[int]) -> None:
        for token in tokens:
            self._stops.pop(token, None)
            self._asked.discard(token)
            self._ousts.pop(token, None)

    def _without_skipped(self, worker: Worker, event: on.JobsEnded, now: int) -> on.JobsEnded:
        """What the worker skipped was given back already; or it is now, where we took it for started or were slower."""
        gone = {index for index, status in enumerate(event.statuses) if status & KIND_MASK == REVOKED}
        again = {token for index in sorted(gone) if not worker.skipped(token := event.tokens[index])}
        if again:
            verdict = worker.verdict
            if verdict is not None and verdict.token in again:  # we were about to end what has not begun
                worker.verdict = None
                if verdict.kind == CANCELLED:
                    self._stops[verdict.token] = verdict.kill
            self._cut(worker, set(worker.tokens()) - again, now)
        return without(event, gone)

    def _without_ousted(self, event: on.JobsEnded, verdict: Verdict, now: int) -> on.JobsEnded:
        """What we have interrupted did not end by itself, whatever it says; but one that returned did its work."""
        token = verdict.token
        if token not in event.tokens or not verdict.step:
            return event
        index = event.tokens.index(token)
        if event.statuses[index] & KIND_MASK == RETURNED:
            return event
        self._lost(token, verdict.message, now - event.starts_ns[index])
        return without(event, {index})

    def _lost(self, token: int, why: str, age: int, blame: bytes = b"") -> None:
        """It ended without a word of its own; `blame`: how, if that was its fault."""
        self._files.died(token)
        outcome = blame or lost(why)
        self._out.append(Send(Died([token], bool(blame), [age], [len(outcome)]), outcome))

    def _without_unloaded(self, event: on.JobsEnded) -> on.JobsEnded:
        """The computation cannot be loaded here: what the worker says of its jobs is less than what we know."""
        gone = {index for index, status in enumerate(event.statuses) if status & KIND_MASK == NOT_RUN}
        if not gone:
            return event
        tokens = [event.tokens[index] for index in sorted(gone)]
        self._files.give_back(tokens, "the computation failed on this node")
        return without(event, gone)

    def distrust(self, worker: Worker) -> None:
        """Its ring names attempts that it was not sent: its memory is no longer its own."""
        worker.distrusted = True
        self._workers.leave(worker)
        self._out.append(Kill(worker.number))

    # --- back, unstarted ---

    def taken_back(self, worker: Worker, event: on.TakenBack, now: int) -> None:
        """What the worker had not started when the revoke word was set."""
        if worker.taking_back != event.serial:
            return  # all that it was about has ended
        worker.taking_back = 0
        keep = set(event.ended)
        keep.add(event.started)
        self._cut(worker, keep, now, skips=True)
        # Not `worker.first`: that may be one whose record we have not read yet.
        running = event.started not in event.ended and event.started in worker.tokens()
        verdict = worker.verdict
        if verdict is not None and not verdict.step and verdict.token not in worker.tokens():
            worker.verdict = verdict = None
        if running and event.started in self._stops:
            at_once = self._stops.pop(event.started)
            worker.verdict = verdict = cancelled(event.started, at_once)
        elif running and event.started in self._ousts and verdict is None:
            worker.verdict = verdict = ousted(event.started, self._ousts.pop(event.started))
        if running and verdict is not None and verdict.token == event.started:
            self._watch.execute(worker, now)

    def retired(self, worker: Worker, now: int) -> None:
        """It takes no more."""
        self._workers.leave(worker)
        if worker.load:
            self._cut(worker, set(), now)
        else:
            self._out.append(Quit(worker.number))

    def _cut(self, worker: Worker, keep: set[int], now: int, skips: bool = False) -> None:
        had = worker.load
        batches = worker.cut(keep)
        if skips:
            worker.expect_skips(batches)
        if had and not worker.load:
            self._emptied(worker, now)
        self._unstarted(batches, now)

    def _unstarted(self, batches: list[Batch], now: int) -> None:
        """They wait again, unless somebody wanted them ended or back."""
        if self._stops or self._asked:
            batches = [self._claimed(batch, now) for batch in batches]
        self._preparation.readmit([batch for batch in batches if len(batch)])

    def _claimed(self, batch: Batch, now: int) -> Batch:
        stopped = [token for token in batch.waiting() if token in self._stops]
        if stopped:
            self._never_started(stopped, now)
        asked = [token for token in batch.waiting() if token in self._asked]
        if asked:
            self._forget_orders(asked)
            self._files.give_back(asked, "revoked")
        return batch.without({*stopped, *asked})[0] if stopped or asked else batch

    def _never_started(self, tokens: list[int], now: int) -> None:
        self._forget_orders(tokens)
        for token in tokens:
            self._files.end(End(token, CANCELLED | ENVELOPE, 0, 0, NOT_STARTED), now)

    def _emptied(self, worker: Worker, now: int) -> None:
        self._workers.emptied(worker, now)
        if worker.leaving and not worker.program:
            self._out.append(Quit(worker.number))

    # --- with their worker ---

    def died(self, worker: Worker, event: on.WorkerDied, now: int) -> None:
        """A worker or program is gone; its ring has been drained."""
        self._workers.remove(worker)
        first = worker.first
        known = worker.distrusted or (worker.program and not event.with_keeper)  # that the first one had started
        started = bool(first) and (event.started == first or known)
        batches = worker.cut({first} if started else set())
        if started:
            self._died_running(worker, event, now)
        elif batches and worker.environment is not None and not event.with_keeper:
            # Those for a single job leave from the start; other leaving ones are ended by us.
            if batches[0].definition.fresh or not worker.leaving:
                self._preparation.died_unstarted(worker.environment)
        self._unstarted(batches, now)

    def _died_running(self, worker: Worker, event: on.WorkerDied, now: int) -> None:
        token = worker.first
        self._forget_orders([token])
        age = max(now - event.started_ns, 0) if event.started_ns else 0
        if worker.flights[0].definition.stage is Stage.GONE:
            self._files.died(token)
        elif _was_ousted(worker, event):
            self._lost(token, worker.verdict.message if worker.verdict is not None else "", age)
        elif worker.program and not event.with_keeper:
            self._files.end(End(token, *_timed(program_end(worker.verdict, event.death), event.started_ns, age)), now)
        elif worker.verdict is not None and worker.verdict.token == token:
            self._files.end(End(token, *_timed(sentenced(worker.verdict, event.death), event.started_ns, age)), now)
        else:
            self._lost(token, "its keeper died", age, b"" if event.with_keeper else own_death(event.death))

    def not_spawned(self, worker: Worker, failure: dict[str, bytes], now: int) -> None:
        """A program could not be started, or a worker: what that was sent goes to another."""
        self._workers.remove(worker)
        if not worker.program:
            if worker.load and worker.environment is not None:
                self._preparation.died_unstarted(worker.environment, failure)
            self._unstarted(worker.cut(set()), now)
            return
        status, outcome = not_run(failure)
        self._files.end(End(worker.first, status, 0, 0, outcome), now)

    def not_sent(self, worker: Worker, tokens: list[int], failure: dict[str, bytes], now: int) -> None:
        """They never went out, so the worker does not count them."""
        worker.cut(set(worker.tokens()).difference(tokens))
        worker.sent -= len(tokens)
        if not worker.load:
            self._emptied(worker, now)
        status, outcome = not_run(failure)
        self._forget_orders(tokens)
        for token in tokens:
            self._files.end(End(token, status, 0, 0, outcome), now)

    # --- by order ---

    def stop(self, tokens: list[int], at_once: bool, now: int) -> None:
        """End these attempts: those that wait now, those that run by interrupt or kill."""
        wanted = set(tokens)
        waiting = self._held.remove(wanted)
        self._never_started(waiting, now)
        for worker in self._workers:
            flying = wanted.intersection(worker.tokens()) if worker.load else set()
            if not flying:
                continue
            if worker.program:
                self._stop_program(worker, at_once, now)
                continue
            for token in flying:
                self._stop_flying(worker, token, at_once, now)

    def _stop_flying(self, worker: Worker, token: int, at_once: bool, now: int) -> None:
        verdict = worker.verdict
        if verdict is not None and verdict.token == token:
            if at_once and not verdict.kill:
                verdict.kill, verdict.step = True, 0
                self._watch.execute(worker, now)
            return
        self._stops[token] = at_once or self._stops.get(token, False)
        self._dispatch.take_back(worker)

    def _stop_program(self, worker: Worker, at_once: bool, now: int) -> None:
        if worker.verdict is None or (at_once and not worker.verdict.kill):
            worker.verdict = cancelled(worker.first, at_once)
            self._watch.execute(worker, now)

    def oust(self, reason: str, now: int) -> None:
        """End all that runs here; what has not started goes back."""
        busy = self._workers.busy_ones()
        for worker in busy:
            if not worker.program:
                self._ousts.update(dict.fromkeys(worker.tokens(), reason))
            elif worker.verdict is None:
                worker.verdict = ousted(worker.first, reason)
                self._watch.execute(worker, now)
        self.give_back([*self._held.tokens(), *(token for worker in busy for token in worker.tokens())])

    def give_back(self, tokens: list[int]) -> None:
        """Return those that have not started."""
        wanted = set(tokens)
        waiting = self._held.remove(wanted)
        flying = False
        for worker in self._workers:
            found = wanted.intersection(worker.tokens()) if worker.load and not worker.program else set()
            if found:
                flying = True
                self._asked |= found
                self._dispatch.take_back(worker)
        if waiting or not flying:
            self._files.give_back(waiting, "revoked")


def _was_ousted(worker: Worker, event: on.WorkerDied) -> bool:
    """Whether it was ended for its node's owner: but a program that took our signal and still exited with 0 did not
    need that."""
    verdict, death = worker.verdict, event.death
    if verdict is None or verdict.kind != OUSTED or event.with_keeper:
        return False
    return not worker.program or bool(death.exit_code or death.signal)


def _timed(end: tuple[int, bytes], start_ns: int, age: int) -> tuple[int, int, int, bytes]:
    status, outcome = end
    return status, start_ns, age, outcome


def _in_arena(event: on.JobsEnded) -> bool:
    """Whether results lie where only the scheduler can have them freed."""
    return any(status & (IN_ARENA | APART) for status in event.statuses)
