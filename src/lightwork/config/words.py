"""What is wrong with a value, in words: msgspec's sentences about types made sentences about TOML."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args, get_origin

import msgspec

from lightwork.config.toml_lines import Path

_EXPECTED = re.compile(r"^Expected `(?P<wanted>[^`]+)`(?P<bounds> (?:<=|>=|<|>) -?[\d.]+)?(?:, got `(?P<got>[^`]+)`)?")
_LENGTH = re.compile(r"length (<=|>=) (\d+)")
_REGEX = re.compile(r"matching regex '(.*)'$")
_CHOICE = re.compile(r"^Invalid enum value '(.*)'")
_AT = re.compile(r" - at (`key` in )?`([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a table",
    "datetime": "a date",
    "time": "a time without quotes",
}
_SHAPES = (  # of texts, by a part of their pattern
    ("{1,2}:", 'a time "HH:MM", or a span from now on "+2h"'),
    ("[KMGTP]", 'a size such as "20G"'),
    ("[^=]+=", '"NAME=VALUE"'),
)


def words_of(error: msgspec.ValidationError, value: Any, kind: Any = None) -> tuple[Path, str]:
    """Where below the value, and what is wrong there."""
    text = str(error)
    at = _AT.search(text)
    where: Path = tuple(int(index) if index else key for key, index in _STEP.findall(at[2])) if at else ()
    text, shown = _AT.sub("", text), _at(value, where)
    if at is not None and at[1]:
        bad = next((key for key in shown if not _NAME.fullmatch(key)), "?")
        return (*where, bad), f"{bad!r} is no name: letters, digits, dot, dash, underscore"
    if regex := _REGEX.search(text):
        shape = next((shape for part, shape in _SHAPES if part in regex[1]), "")
        return where, f"{shown!r} is not {shape}" if shape else f"{shown!r} is no name: letters, digits, . - _"
    if length := _LENGTH.search(text):
        return where, "it is empty" if length[1] == ">=" else f"it is longer than {length[2]} characters"
    if _CHOICE.match(text):
        return where, f"{shown!r} is none of {', '.join(_choices(kind))}"
    return where, _about_type(text, shown)


def _about_type(text: str, shown: Any) -> str:
    found = _EXPECTED.match(text)
    if found is None:
        return text[:1].lower() + text[1:]
    if found["bounds"]:
        least = found["bounds"].strip().partition(" ")
        bound = {">=": "at least", "<=": "at most"}.get(least[0], least[0])
        return f"{shown} is out of range: {bound} {least[2]}"
    kinds = [kind.strip() for kind in found["wanted"].split("|")]
    wanted = " or ".join(_WORDS.get(kind, kind) for kind in kinds if kind != "null")
    return f"expected {wanted}, and this is {_WORDS.get(found['got'] or '', 'something else')}"


def _choices(kind: Any) -> list[str]:
    """Of a Literal, wherever in the type it is."""
    if get_origin(kind) is Literal:
        return list(map(str, get_args(kind)))
    return [choice for part in get_args(kind) for choice in _choices(part)]


def _at(value: Any, where: Path) -> Any:
    for step in where:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return value
    return value
