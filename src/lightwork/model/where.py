"""The language of `where=`: which nodes a job may run on. Nothing is called and nothing looked up in it but facts.

    any    = all { "or" all }                     memory >= 8G and (group == "render" or label.disk == "ssd")
    all    = not { "and" not }
    not    = "not" not | "(" any ")" | asked      `parse` makes closures of it once; `Where.holds` calls them.
    asked  = NAME SIGN VALUE | NAME ["not"] "in" "(" VALUE { "," VALUE } ")" | NAME ["not"] "like" TEXT

`Where.canonical` is the same in one spelling, and reads back as itself: that is what travels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NoReturn

from lightwork.model.where_names import (
    ALIASES,
    EXAMPLES,
    KINDS,
    LABELS,
    NUMBERS,
    OPPOSITES,
    ORDERED,
    PREFIXES,
    TEXTS,
    VERSIONS,
    Comparison,
    Facts,
    Test,
    is_size,
    kind_of,
    node_facts as node_facts,
    test_of,
    told,
)
from lightwork.model.where_words import END, LENGTH_MAX, NUMBER, SIGN, TEXT, WORD, Token, fail, number_of, words_of

DEPTH_MAX = 50
WORDS_MAX = 2000
_JOINTS = ("and", "or")
_SIGNS = ("==", "!=", *ORDERED)
_OPERATORS = (*_JOINTS, "not", "in", "like")


class Part:
    """One comparison, or several joined by `and`, `or`, `not`. Compiled: `holds` is a plain function."""

    def __init__(self, joint: str, parts: Sequence[Part] = (), asked: Comparison | None = None) -> None:
        self.joint = joint  # "": it is one comparison
        self.parts = parts
        self.asked = asked
        self.holds: Test = test_of(asked) if asked is not None else _joined(joint, [part.holds for part in parts])

    def written(self, inside: str = "") -> str:
        """In its canonical form, as a part of a joint."""
        if self.asked is not None:
            return self.asked.canonical
        if self.joint == "not":
            return f"not {self.parts[0].written('not')}"
        text = f" {self.joint} ".join(part.written(self.joint) for part in self.parts)
        return f"({text})" if inside and (inside, self.joint) != ("or", "and") else text

    def why(self, facts: Facts, wanted: bool) -> list[str]:
        """Which comparisons make it what it should not be; it is not `wanted`."""
        if self.asked is not None:
            text = self.asked.canonical
            return [f"{text if wanted else f'not {text}'} does not hold: {told(self.asked.name, facts)}"]
        if self.joint == "not":
            return self.parts[0].why(facts, not wanted)
        return [line for part in self.parts if part.holds(facts) != wanted for line in part.why(facts, wanted)]

    def names(self) -> set[str]:
        """What it asks about."""
        own = {self.asked.name} if self.asked is not None else set()
        return own.union(*(part.names() for part in self.parts))


def _joined(joint: str, tests: Sequence[Test]) -> Test:
    if joint == "not":
        inner = tests[0]
        return lambda facts: not inner(facts)
    if joint == "and":
        return lambda facts: all(test(facts) for test in tests)
    return lambda facts: any(test(facts) for test in tests)


class Where:
    """An expression, read and compiled. Two with the same `canonical` text are the same."""

    def __init__(self, canonical: str, part: Part) -> None:
        self.canonical = canonical
        self.names = frozenset(part.names())  # "os", "label.disk"... : nothing else can change what it says
        self.holds = part.holds  # of the facts of a node (`node_facts`)
        self._part = part

    def why(self, facts: Facts) -> str:
        """Which part of it does not hold, and what the node has instead; "" if all of it holds."""
        return "" if self.holds(facts) else "; ".join(dict.fromkeys(self._part.why(facts, True)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Where) and other.canonical == self.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __repr__(self) -> str:
        return f"Where({self.canonical!r})"


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Where:
    """Raises WhereError, which shows the place, if it cannot be read."""
    if len(text) > LENGTH_MAX:
        fail(text, LENGTH_MAX, f"more than {LENGTH_MAX:,} characters are too many")
    part = _Reader(text).all()
    canonical = part.written()
    if len(canonical) > LENGTH_MAX:
        fail(text, len(text), f"written out it has more than {LENGTH_MAX:,} characters, which are too many")
    return Where(canonical, part)


class _Reader:
    """Recursive descent: one method for each line of the grammar above."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = words_of(text)
        self._at = 0
        self._depth = 0
        if len(self._words) > WORDS_MAX:
            fail(text, self._words[WORDS_MAX].start, f"more than {WORDS_MAX:,} words are too many")

    @property
    def _next(self) -> Token:
        return self._words[self._at]

    def _take(self) -> Token:
        token = self._words[self._at]
        self._at += token.kind != END
        return token

    def _takes(self, *said: str) -> bool:
        """Whether these come next; then they are taken."""
        ahead = self._words[self._at : self._at + len(said)]
        if [token.said for token in ahead if token.kind in (WORD, SIGN)] != list(said):
            return False
        self._at += len(said)
        return True

    def _fail(self, token: Token, what: str, hint: str = "") -> NoReturn:
        fail(self._text, token.start, what, hint)

    def all(self) -> Part:
        """The whole text."""
        part = self._any()
        if self._next.kind != END:
            shown = self._shown(self._next)
            close = "there is no ( for it" if self._next.said == ")" else "join comparisons by `and` or `or`"
            self._fail(self._next, f"{shown} is one too many: the expression ends before it", close)
        return part

    def _any(self) -> Part:
        return self._joined("or", self._all)

    def _all(self) -> Part:
        return self._joined("and", self._not)

    def _joined(self, joint: str, read: Any) -> Part:
        found = [read()]
        while self._takes(joint):
            found.append(read())
        parts = [inner for part in found for inner in (part.parts if part.joint == joint else (part,))]
        return Part(joint, parts) if len(parts) > 1 else parts[0]

    def _not(self) -> Part:
        token = self._next
        deeper = token.kind != TEXT and token.said in ("not", "(")
        if not deeper:
            return Part("", asked=self._asked())
        self._take()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._fail(token, f"more than {DEPTH_MAX} parentheses inside each other are too many")
        if token.said == "not":
            part = Part("not", [self._not()])
        else:
            part = self._any()
            if not self._takes(")"):
                self._fail(self._next, "a ) is missing here", f"it closes the ( at character {token.start + 1}")
        self._depth -= 1
        return part

    # --- a comparison ---

    def _asked(self) -> Comparison:
        name = self._name()
        kind, token = kind_of(name), self._next
        opposite = self._takes("not")
        if self._takes("like"):
            if kind not in (TEXTS, LABELS):
                self._fail(token, f"`like` is for text, and {name} is a {kind}", f"{name} >= {_example(name)}")
            return Comparison(name, "like", (self._pattern(name),), opposite)
        if self._takes("in"):
            return Comparison(name, "in", self._list(name), opposite)
        sign = self._take()
        if opposite or sign.kind != SIGN or sign.said not in _SIGNS:
            self._no_sign(name, token)
        if sign.said in ORDERED and kind == TEXTS:
            self._fail(sign, f"{name} is text, and has no order", f"{name} == {_example(name)}")
        value = self._value(name, ordered=sign.said in ORDERED)
        return Comparison(name, OPPOSITES.get(sign.said, sign.said), (value,), sign.said in OPPOSITES)

    def _no_sign(self, name: str, token: Token) -> NoReturn:
        if token.kind == END or token.said in (*_JOINTS, ")"):
            usual = f'{name} != ""' if kind_of(name) in (TEXTS, LABELS) else f"{name} >= {_example(name)}"
            self._fail(token, f"{name} alone says nothing", usual)
        signs = "==, !=, <, <=, >, >=, in or like"
        self._fail(token, f"{self._shown(token)} cannot follow {name}", f"{signs} can: {name} == {_example(name)}")

    def _name(self) -> str:
        token = self._take()
        name = ALIASES.get(token.said, token.said)
        if token.kind != WORD or not kind_of(name):
            self._no_name(token, name)
        return name

    def _no_name(self, token: Token, name: str) -> NoReturn:
        if token.kind == END:
            self._fail(token, "a comparison is missing here", 'such as os == "linux" or memory >= 8G')
        if token.kind in (TEXT, NUMBER):
            self._fail(token, f"{self._shown(token)} is no name", self._turned(token))
        if token.kind == WORD and name in PREFIXES:
            self._fail(token, f"{name} alone is no name", f"{name}.NAME is one")
        if token.kind == SIGN or token.said in _OPERATORS:
            self._fail(token, f"a name is missing before {token.said}", f"the names: {_names()}")
        self._fail(token, f"{token.said} is no name", _nearest(token.said))

    def _turned(self, value: Token) -> str:
        """The hint for what is written the wrong way round, as in `"render" in group`."""
        sign, name = self._next, self._words[min(self._at + 1, len(self._words) - 1)]
        known = ALIASES.get(name.said, name.said)
        if name.kind != WORD or not kind_of(known) or (sign.said not in _SIGNS and sign.said != "in"):
            return f"the name stands first: {_names()}"
        turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "in": "=="}.get(sign.said, sign.said)
        return f"the name stands first: {known} {turned} {self._shown(value)}"

    # --- values ---

    def _list(self, name: str) -> tuple[Any, ...]:
        if not self._takes("("):
            self._fail(self._next, "a ( is missing here", f"{name} in ({_example(name)}, ...)")
        values = [self._value(name)]
        while self._takes(","):
            if self._next.said == ")" and self._next.kind == SIGN:
                break
            values.append(self._value(name))
        if not self._takes(")"):
            self._fail(self._next, "a , or ) is missing here", f"{name} in ({_example(name)}, ...)")
        return tuple(dict.fromkeys(values))

    def _pattern(self, name: str) -> str:
        token = self._take()
        if token.kind != TEXT:
            self._fail(token, "a pattern is missing here", f'it is text with * or ?: {name} like "lab*"')
        return token.said

    def _value(self, name: str, *, ordered: bool = False) -> Any:
        token, kind = self._take(), kind_of(name)
        if token.kind == WORD and token.said not in _OPERATORS:
            quote = f'{name} == "{token.said}"' if kind in (TEXTS, LABELS) else f"{name} is a {kind}"
            self._fail(token, f"{token.said} is no value: text stands in quotes", quote)
        if token.kind not in (TEXT, NUMBER):
            self._fail(token, "a value is missing here", f"such as {name} == {_example(name)}")
        if kind == VERSIONS:
            return self._version(token)
        if kind == TEXTS or (kind == LABELS and token.kind == TEXT and not ordered):
            if token.kind != TEXT:
                self._fail(token, f"{name} is text, and text stands in quotes", f'{name} == "{token.said}"')
            return token.said
        number = number_of(token.said)
        if number is None:
            what = "a size" if is_size(name) else "a number"
            self._fail(token, f"{self._shown(token)} is not {what}", f"such as {_example(name, NUMBERS)}")
        return number

    def _version(self, token: Token) -> tuple[int, ...]:
        parts = token.said.split(".")
        if not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts) or len(parts) > 2:
            self._fail(token, f"{self._shown(token)} is no version of Python", "such as 3.11: nodes tell no more of it")
        return tuple(map(int, parts))

    def _shown(self, token: Token) -> str:
        end = self._words[min(self._words.index(token) + 1, len(self._words) - 1)].start
        return self._text[token.start : end].strip() or "the end"


def _example(name: str, kind: str = "") -> str:
    return EXAMPLES.get(name) or EXAMPLES[kind or kind_of(name)]


def _names() -> str:
    return ", ".join([*KINDS, *(f"{prefix}.NAME" for prefix in PREFIXES)])


def _nearest(said: str) -> str:
    import difflib

    head, _, rest = said.partition(".")
    known = {word: word for word in (*KINDS, *ALIASES, *_OPERATORS)} | {word: f"{word}.{rest}" for word in PREFIXES}
    found = difflib.get_close_matches(head.lower(), known, 1, 0.6)
    return f"did you mean {known[found[0]]}?" if found else f"the names: {_names()}"
