"""What was told once, told again: some of its rows alone, and as old as they are by now."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lightwork.node.service.kept_records import Damage
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import AttemptFile, Died, Ended, FromNode, Message

Ends = Ended | Died
Told = tuple[FromNode, Buffer]


def tokens_in(message: Message) -> Sequence[int]:
    """The attempts that a kept message speaks of. Damage: it is none of those that are kept."""
    if isinstance(message, Ended | Died):
        return message.tokens
    if isinstance(message, AttemptFile):
        return [message.token]
    raise Damage(f"a {type(message).__name__} is no end")


def again(message: Message, body: Buffer, tokens: Collection[int], passed_ns: int) -> Told:
    """Of these attempts alone; so much time has passed since it was told."""
    if isinstance(message, AttemptFile):
        return message, body
    if not isinstance(message, Ended | Died):
        raise Damage(f"a {type(message).__name__} is no end")
    if len(tokens) < len(message.tokens):
        message, body = _rows(message, body, tokens)
    if passed_ns > 0:
        message.ages_ns = [age + passed_ns if age else 0 for age in message.ages_ns]
    return message, body


def _rows(message: Ends, body: Buffer, tokens: Collection[int]) -> tuple[Ends, Buffer]:
    kept, parts, at = [], [], 0
    for index, (token, length) in enumerate(zip(message.tokens, message.lengths, strict=True)):
        if token in tokens:
            kept.append(index)
            parts.append(body[at : at + length])
        at += length
    columns = (message.tokens, message.ages_ns, message.lengths)
    rest, ages, lengths = ([column[index] for index in kept] for column in columns)
    if isinstance(message, Died):
        return Died(rest, message.blame, ages, lengths), b"".join(parts)
    places = {old: new for new, old in enumerate(kept)}
    files = [(places[index], found) for index, found in message.files if index in places]
    statuses, durations = ([column[index] for index in kept] for column in (message.statuses, message.durations_ns))
    return Ended(rest, statuses, ages, durations, lengths, files), b"".join(parts)
