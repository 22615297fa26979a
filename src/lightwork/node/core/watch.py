"""What runs long: reported as started, its output claimed, its limits watched, and ended where it must.

    verdict (cancel):          Interrupt --3 s--> Terminate --1 s--> Kill
    verdict (timeout, memory): Kill

Nobody is killed beside the one meant: first everything behind it is taken back, and only then the process is touched.
"""

from __future__ import annotations

from lightwork.config.timers import AGENT_TICK_S, CANCEL_INTERRUPT_S, CANCEL_TERM_S
from lightwork.node.core.commands import Claim, Command, Interrupt, Kill, MeasureMemory, Send, Terminate
from lightwork.node.core.dispatch import WORTH_TAKING_NS, Dispatch
from lightwork.node.core.endings import timed_out, too_large
from lightwork.node.core.events import Word
from lightwork.node.core.workers import Verdict, Worker, Workers
from lightwork.wire.messages import Started

LONG_NS = int(AGENT_TICK_S * 1e9)
INTERRUPT_NS = int(CANCEL_INTERRUPT_S * 1e9)
TERM_NS = int(CANCEL_TERM_S * 1e9)
AGAIN_NS = 5 * 10**9  # a kill that has not been answered is repeated
MEASURE_NS = 100_000_000


class Watch:
    """Looks at the running attempts on each tick."""

    def __init__(self, workers: Workers, dispatch: Dispatch, out: list[Command]) -> None:
        self._workers = workers
        self._dispatch = dispatch
        self._out = out

    def tick(self, words: list[Word], now: int) -> None:
        """What the workers' words say now."""
        tokens, ages = [], []
        for word in words:
            worker = self._workers.get(word.worker)
            if worker is None:
                continue
            if worker.verdict is not None and worker.verdict.step:
                self._escalate(worker, worker.verdict, now)
            if not word.started or word.started != worker.first:
                continue
            age = now - word.started_ns
            if age >= LONG_NS and worker.told != word.started:
                tokens.append(word.started)
                ages.append(age)
                self._tell(worker, word.started)
            elif age >= WORTH_TAKING_NS and worker.load > 1 and self._dispatch.slots_idle:
                self._dispatch.take_back(worker)
            self._limits(worker, word.started, age, now)
        if tokens:
            self._out.append(Send(Started(tokens, ages)))

    def measured(self, worker: Worker, token: int, used: int, now: int) -> None:
        """The memory of a running attempt."""
        if worker.first != token or worker.verdict is not None:
            return
        options = worker.flights[0].options
        if 0 < options.memory_bytes < used:
            self.sentence(worker, too_large(token, options, used), now)

    def sentence(self, worker: Worker, verdict: Verdict, now: int) -> None:
        """A running attempt shall end; what stands behind it is brought to safety first."""
        worker.verdict = verdict
        if worker.load > 1:
            self._dispatch.take_back(worker)
        elif not worker.taking_back:
            self.execute(worker, now)

    def execute(self, worker: Worker, now: int) -> None:
        """It runs, and nothing is behind it."""
        verdict = worker.verdict
        if verdict is None or verdict.step:
            return
        if verdict.kill:
            self._kill(worker, verdict, now)
            return
        verdict.step, verdict.due_ns = 1, now + INTERRUPT_NS
        self._out.append(Interrupt(worker.number, verdict.token))

    def _tell(self, worker: Worker, token: int) -> None:
        worker.told = token
        if not worker.program:
            self._out.append(Claim(worker.number, token, worker.flights[0].options.output_limit_bytes))
        if worker.load > 1:
            self._dispatch.take_back(worker)

    def _limits(self, worker: Worker, token: int, age: int, now: int) -> None:
        options = worker.flights[0].options
        if worker.verdict is not None:
            return
        if 0 < options.timeout_ns < age:
            self.sentence(worker, timed_out(token, options), now)
        elif options.memory_bytes and now - worker.measured_ns >= MEASURE_NS:
            worker.measured_ns = now
            self._out.append(MeasureMemory(worker.number, token, options.memory_bytes))

    def _escalate(self, worker: Worker, verdict: Verdict, now: int) -> None:
        if now < verdict.due_ns:
            return
        if verdict.step == 1:
            verdict.step, verdict.due_ns = 2, now + TERM_NS
            self._workers.leave(worker)
            self._out.append(Terminate(worker.number))
        else:
            self._kill(worker, verdict, now)

    def _kill(self, worker: Worker, verdict: Verdict, now: int) -> None:
        verdict.step, verdict.due_ns = 3, now + AGAIN_NS
        self._workers.leave(worker)
        self._out.append(Kill(worker.number))
