"""No message to the scheduler is longer than a link takes: columns are cut, a single outcome too long is replaced."""

from __future__ import annotations

from collections.abc import Iterator

from lightwork.config.limits import BODY_MAX
from lightwork.kit.text import size
from lightwork.node.core.endings import envelope
from lightwork.node.core.events import Death
from lightwork.wire.messages import Died, Ended, FromNode, Returned, Started
from lightwork.wire.outcome import ENVELOPE, UNSENDABLE

ROWS_MAX = 4096
BYTES_MAX = 8 << 20  # of bodies, unless a single one is larger
OUTCOME_MAX = BODY_MAX - 4096
Sliced = Iterator[tuple[FromNode, bytes]]


def slices(message: FromNode, body: bytes) -> Sliced:
    """The message in as many as are needed: nearly always one."""
    if isinstance(message, Ended | Died) and (len(message.tokens) > ROWS_MAX or len(body) > BYTES_MAX):
        yield from _with_outcomes(message, body)
    elif isinstance(message, Returned | Started) and len(message.tokens) > ROWS_MAX:
        for start in range(0, len(message.tokens), ROWS_MAX):
            end = start + ROWS_MAX
            if isinstance(message, Returned):
                yield Returned(message.tokens[start:end], message.reason), b""
            else:
                yield Started(message.tokens[start:end], message.ages_ns[start:end]), b""
    else:
        yield message, body


def _with_outcomes(message: Ended | Died, body: bytes) -> Sliced:
    start, at = 0, 0
    while start < len(message.tokens):
        end, until = start + 1, at + message.lengths[start]
        while end < min(len(message.tokens), start + ROWS_MAX) and until + message.lengths[end] - at <= BYTES_MAX:
            until += message.lengths[end]
            end += 1
        yield _piece(message, start, end, body[at:until])
        start, at = end, until


def _piece(message: Ended | Died, start: int, end: int, body: bytes) -> tuple[FromNode, bytes]:
    tokens, ages, lengths = message.tokens[start:end], message.ages_ns[start:end], message.lengths[start:end]
    too_long = len(body) > OUTCOME_MAX  # so it is a single one
    if too_long:
        body = _too_long(len(body))
        lengths = [len(body)]
    if isinstance(message, Died):
        return Died(tokens, message.blame, ages, lengths), body
    statuses = [UNSENDABLE | ENVELOPE] if too_long else message.statuses[start:end]
    files = [(index - start, found) for index, found in message.files if start <= index < end]
    return Ended(tokens, statuses, ages, message.durations_ns[start:end], lengths, files), body


def _too_long(length: int) -> bytes:
    text = f"what the job left (value, output, error) has {size(length)}, more than one message carries"
    hint = b"lower output_limit=, or write to a file"
    return envelope(Death(), {"type": b"ResultTooLarge", "message": text.encode(), "hint": hint})
