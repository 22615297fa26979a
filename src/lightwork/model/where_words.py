"""The words of a `where=`: text cut into tokens, what stands for a number, and errors that point at their place."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from lightwork.model.errors import WhereError

LENGTH_MAX = 10_000
NUMBER_MAX = 1 << 62
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
WORD, NUMBER, TEXT, SIGN, END = "word", "number", "text", "sign", "end"

_TOKEN = re.compile(
    r"""(?P<word>[^\W\d][\w-]*(?:\.[\w-]+)*)
      | (?P<number>-?\d[\d.]*[^\W\d]*)
      | (?P<text>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
      | (?P<sign>==|!=|<=|>=|<|>|\(|\)|,)""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_AMOUNT = re.compile(r"(-?)(\d{1,19})(?:\.(\d+))?\s?([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_WRONG = {"&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "=~": "like", "=": "==", "[": "(", "]": ")"}
_AROUND = 60  # so many characters of a long text are shown before and after the place


class Token(NamedTuple):
    """One word: its kind, what it says (of a text: without its quotes), and where it stands."""

    kind: str
    said: str
    start: int


def words_of(text: str) -> list[Token]:
    """The words of a `where=`, and its end."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        fail(text, error.start, "this character cannot be sent: it has no form in UTF-8")
    found, at = [], _after_space(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _no_word(text, at)
        kind, said = str(match.lastgroup), match[0]
        found.append(Token(kind, _plain(said) if kind == TEXT else said, at))
        at = _after_space(text, match.end())
    return [*found, Token(END, "", at)]


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match is not None else at


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)


def _no_word(text: str, at: int) -> NoReturn:
    if text[at] in "\"'":
        fail(text, at, "this text has no end", f"another {text[at]} closes it")
    wrong = next((sign for sign in _WRONG if text.startswith(sign, at)), "")
    fail(text, at, f"{wrong or text[at]} has no meaning here", f"write {_WRONG[wrong]}" if wrong else "")


def quoted(said: str) -> str:
    """A text as it is written."""
    return '"' + said.replace("\\", "\\\\").replace('"', '\\"') + '"'


def number_of(said: str) -> int | float | None:
    """What `8`, `2.5` or `8G` stands for (bytes, with a unit); None: it is no number."""
    match = _AMOUNT.fullmatch(said.strip())
    if match is None:
        return None
    whole, part, unit = match[2], (match[3] or "")[:30], match[4].upper()
    if unit or match[0][-1:] in "bB":
        value: int | float = (int(whole + part) * UNITS[unit]) // 10 ** len(part)
    else:
        value = round(float(f"{whole}.{part or 0}"), 3) if part.strip("0") else int(whole)
    return (-value if match[1] else value) if value < NUMBER_MAX else None


def written(number: float, *, size: bool = False) -> str:
    """A number as `number_of` reads it; of a size, in the largest unit that leaves it whole."""
    whole = int(number)
    if whole != number:
        return f"{number:.3f}".rstrip("0")
    units = reversed(UNITS.items()) if size and whole else ()
    return next((f"{whole // factor}{unit}" for unit, factor in units if whole % factor == 0), str(whole))


def fail(text: str, at: int, what: str, hint: str = "") -> NoReturn:
    """Raises WhereError: the text in one line, and a caret below the place."""
    begin, end = max(0, at - _AROUND), min(len(text), at + _AROUND)
    line = "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text[begin:end])
    before, after = "..." if begin else "", "..." if end < len(text) else ""
    shown = f"  {before}{line}{after}\n  {' ' * (len(before) + at - begin)}^"
    raise WhereError(f"where: {what}\n{shown}", text=text, position=at, hint=hint)
