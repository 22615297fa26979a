"""From what the user typed to the argument list of each job. Pure: text in, text out.

Words are split as a POSIX shell splits them, except that nothing is expanded: quotes group, a backslash escapes. On
Windows a backslash is a path separator and escapes nothing. A quote left over at the very end is dropped, with a
warning: the command lines that dispy printed in its documentation had one.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lightwork.model.errors import UserError
from lightwork.model.resources import CPUS, SLOT, assigned

_PLACEHOLDER = re.compile(r"\{(\d*)\}")
_QUOTES = "\"'"


class Split(NamedTuple):
    """The words of a text, and what had to be mended to get them (empty: nothing)."""

    words: list[str]
    warning: str = ""


def split(text: str, *, windows: bool = sys.platform == "win32") -> Split:
    """The words of one job's argument text; raises UserError for a quote that never ends."""
    try:
        return Split(_words(text, windows))
    except ValueError as error:
        mended = text.rstrip()
        if not mended.endswith(tuple(_QUOTES)):
            raise _unreadable(text, error) from None
        try:
            words = _words(mended[:-1], windows)
        except ValueError:
            raise _unreadable(text, error) from None
        return Split(words, f"the {mended[-1]} at the end of  {text}  closes nothing; it is left out")


def _words(text: str, windows: bool) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if windows:
        lexer.escape = ""
    return list(lexer)


def _unreadable(text: str, error: ValueError) -> UserError:
    what = str(error)[:1].lower() + str(error)[1:]
    return UserError(f"cannot split into words:  {text}  ({what})", hint="quote as in a shell: 'one word' or \"it's\"")


def lines(raw: Iterable[bytes]) -> Iterator[str]:
    """The lines of an arguments file, without their ends and without blank ones. Bytes that are no UTF-8 survive."""
    for line in raw:
        text = line.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
        if text.strip():
            yield text


def has_placeholder(template: Sequence[str]) -> bool:
    """Whether any `{}` or `{N}` stands in these arguments."""
    return any(_PLACEHOLDER.search(argument) for argument in template)


def numbered(template: Sequence[str]) -> bool:
    """Whether any `{N}` does, so that a line must be split into words."""
    return any(match for argument in template for match in _PLACEHOLDER.findall(argument))


def fill(template: Sequence[str], text: str, words: Sequence[str]) -> list[str]:
    """The template with `{}` replaced by the whole text and `{1}`, `{2}`... by its words."""

    def value(match: re.Match[str]) -> str:
        if not match[1]:
            return text
        number = int(match[1])
        if not 1 <= number <= len(words):
            raise UserError(f"no word {match[0]} in  {text}  ({len(words)} there)", hint="words count from {1}")
        return words[number - 1]

    return [_PLACEHOLDER.sub(value, argument) for argument in template]


def for_job(template: Sequence[str], text: str) -> Split:
    """One job's arguments: the template filled or, if it has no placeholder, with the words of `text` after it."""
    if has_placeholder(template) and not numbered(template):
        return Split(fill(template, text, ()))  # the whole line, taken as it is: a file name may hold any quote
    words, warning = split(text)
    if has_placeholder(template):
        return Split(fill(template, text, words), warning)
    return Split([*template, *words], warning)


def nodes(given: Sequence[str]) -> list[str] | None:
    """`["lab1,lab2", "192.168.3.*"]` as a list of nodes; None if none was given."""
    return [name.strip() for text in given for name in text.split(",")] if given else None


def resources(given: Sequence[str]) -> dict[str, float]:
    """`["cpus=0.5", "memory=8G"]` as `resources=` takes it."""
    found = assigned(given)
    return {name: amount / SLOT if name == CPUS else amount for name, amount in found.items()}


def environment(settings: Sequence[str]) -> dict[str, str]:
    """`["A=1", "B="]` as a mapping; raises UserError for one without a name or a `=`."""
    result = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or not equals:
            raise UserError(f"not NAME=VALUE: {setting}", hint="write it as --env NAME=VALUE")
        result[name] = value
    return result
