"""What the head of a message can hold is text that has a UTF-8 form, and not too much of anything.

Whatever can never be sent is refused here, by name, where it is given: a message that cannot be encoded would
otherwise be met much later, by somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from lightwork.config.limits import HEADER_MAX
from lightwork.kit.text import size as sized
from lightwork.model.errors import UserError
from lightwork.wire.messages import Computation, File, JobOptions

SHARED_MAX = HEADER_MAX // 2  # of what many jobs share; the other half is for the jobs themselves

_encode = msgspec.msgpack.Encoder().encode
_AS_FILE = "put it into a file that the jobs depend on, and read it there"


class Part(NamedTuple):
    """Something of a message that may be large; what to do then."""

    name: str
    value: object
    hint: str = _AS_FILE


def check_computation(computation: Computation) -> None:
    """Raises UserError if this cannot be sent, naming what of it."""
    texts = [("name", computation.name), ("dest_path", computation.dest_path)]
    texts += [("the program's path", part) for part in computation.argv]
    parts = (
        Part("setup with setup_args", computation.setup),
        Part("cleanup with setup_args", computation.cleanup),
        Part("the list of files", computation.files, "send fewer files, or an archive of them that setup= unpacks"),
    )
    _check(computation, "The computation", [*texts, *_paths(computation.files)], parts)


def check_options(options: JobOptions) -> None:
    """Raises UserError if these cannot be sent, naming what of them."""
    texts = [("outputs", pattern) for pattern in options.outputs]
    for name, value in options.env:
        texts += [("env: the name", name), (f"env: the value of {name!a},", value)]
    parts = (
        Part(
            "stdin", options.stdin, "let the jobs depend on a file with it, and open that: options(depends=['input'])"
        ),
        Part("env", options.env),
        Part("what depends= names", options.injected),
        Part("the list of files", options.files, "send an archive of them"),
    )
    _check(options, "What these jobs are given", [*texts, *_paths(options.files)], parts)


def _paths(files: Iterable[File]) -> Iterator[tuple[str, str]]:
    return (("the file name", file.path) for file in files)


def _check(
    message: Computation | JobOptions, what: str, texts: Iterable[tuple[str, str]], parts: Iterable[Part]
) -> None:
    try:
        size = len(_encode(message))
    except UnicodeEncodeError:
        for name, text in texts:
            _check_text(name, text)
        raise
    if size > SHARED_MAX:
        largest = max(parts, key=lambda part: len(_encode(part.value)))
        raise UserError(
            f"{what} cannot be sent: {largest.name} has {sized(len(_encode(largest.value)))}, "
            f"and all together may have {sized(SHARED_MAX)}.",
            hint=largest.hint,
        )


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{name} {text!a} cannot be sent: it is not UTF-8.", hint="leave it out, or rename it"
        ) from None
