"""Cutting the source of functions, lambdas and classes out of the files they were loaded from.

    code object --name, first line--> node of the file's tree --> its whole lines, which keep columns and line numbers
        \\--- the file's text, compiled once more, must yield this very code: else it has changed since it was loaded

Lambdas that share a line are told apart by the columns that instructions remember. What has no file (a prompt, exec)
has no source, unless somebody put its text into linecache, as notebooks do.
"""

from __future__ import annotations
import __future__ as future

import ast
import dis
import linecache
import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from lightwork.payload.modules import parsed

_FEATURES = [getattr(future, name).compiler_flag for name in future.all_feature_names]
ANNOTATIONS = future.annotations.compiler_flag
_TEXTS_MAX = 64  # files whose trees are remembered

Function = ast.FunctionDef | ast.AsyncFunctionDef


class NoSource(Exception):
    """Something cannot go as source; the sentence says what and why, without a full stop."""


class Definition(NamedTuple):
    """A function, lambda or class as the worker gets it: worker/source.py."""

    kind: str  # "def", "lambda" or "class"
    filename: str
    line: int  # the number of the first line
    text: str  # whole lines
    span: tuple[int, int]  # a lambda: bytes left out before it in the first line, bytes up to its end in the last
    owner: str  # the class whose name mangles the private names in it
    future: bool  # annotations are text already


class Found(NamedTuple):
    """A node in its file."""

    node: Any
    qualname: str
    owner: str
    line: int  # where it begins, decorators with it


class SourceText:
    """The text of one file: its tree, and the code that it compiles to."""

    def __init__(self, filename: str, text: str) -> None:
        self.filename = filename
        self.text = text
        self._lines = text.split("\n")
        self._tree = _quietly(parsed, text)
        self.nodes = list(_walk(self._tree, "", ""))
        self._codes: dict[int, dict[tuple[str, int], list[types.CodeType]]] = {}

    def has(self, code: types.CodeType) -> bool:
        """Whether compiling the text yields this code."""
        return code in self.codes(code.co_flags).get((code.co_name, code.co_firstlineno), ())

    def codes(self, flags: int) -> dict[tuple[str, int], list[types.CodeType]]:
        """All code in it, by name and first line, compiled with the `from __future__` of these flags."""
        flags = key = sum(feature for feature in _FEATURES if flags & feature)
        if key not in self._codes:
            try:
                top = _quietly(compile, self._tree, self.filename, "exec", flags, True)
            except SyntaxError:  # a notebook's cell that awaits
                flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                top = _quietly(compile, self._tree, self.filename, "exec", flags, True)
            found = self._codes[key] = {}
            for code in _codes_in(top):
                found.setdefault((code.co_name, code.co_firstlineno), []).append(code)
        return self._codes[key]

    def definition(self, kind: str, found: Found, flags: int) -> Definition:
        """What is sent of a node."""
        node = found.node
        text = "\n".join(self._lines[found.line - 1 : node.end_lineno]) + "\n"
        span = (node.col_offset, node.end_col_offset) if kind == "lambda" else (0, 0)
        return Definition(kind, self.filename, found.line, text, span, found.owner, bool(flags & ANNOTATIONS))


def _quietly(make: Callable[..., Any], *args: Any) -> Any:
    """The user has read Python's remarks on the text already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args)


def _walk(node: ast.AST, prefix: str, owner: str) -> Iterator[Found]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            name = prefix + child.name
            yield Found(child, name, owner, min([child.lineno, *(part.lineno for part in child.decorator_list)]))
            is_class = isinstance(child, ast.ClassDef)
            yield from _walk(child, f"{name}." if is_class else f"{name}.<locals>.", child.name if is_class else owner)
        else:
            if isinstance(child, ast.Lambda):
                yield Found(child, f"{prefix}<lambda>", owner, child.lineno)
            yield from _walk(child, prefix, owner)


def _codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes_in(constant)


_texts: dict[str, SourceText] = {}
_lock = threading.Lock()


def source_text(filename: str, namespace: dict[str, Any]) -> SourceText | None:
    """The text of a file; None if it cannot be had, or is no Python."""
    text = "".join(linecache.getlines(filename, namespace))
    known = _texts.get(filename)
    if known is not None and known.text == text:
        return known
    try:
        made = SourceText(filename, text) if text else None
    except (SyntaxError, ValueError):
        return None
    if made is not None:
        with _lock:
            if len(_texts) >= _TEXTS_MAX:
                _texts.clear()
            _texts[filename] = made
    return made


def named(function: types.FunctionType) -> str:
    """A function in a sentence."""
    if function.__name__ == "<lambda>":
        return f"the lambda in {place_of(function.__code__)}"
    return f"function {function.__qualname__.replace('<locals>.', '')}"


def place_of(code: types.CodeType) -> str:
    """Where code is, for people."""
    name = code.co_filename if code.co_filename.startswith("<") else os.path.basename(code.co_filename)
    return f"line {code.co_firstlineno} of {name}"


def cut_function(function: types.FunctionType) -> tuple[Definition, Any]:
    """A function's definition and its node. Raises NoSource."""
    code = function.__code__
    text = source_text(code.co_filename, function.__globals__)
    if text is not None and not text.has(code):
        linecache.checkcache(code.co_filename)
        text = source_text(code.co_filename, function.__globals__)
    if text is None:
        raise NoSource(_why_none(function))
    if not text.has(code):
        raise NoSource(f"the source of {named(function)} has changed since it was loaded ({place_of(code)})")
    kind = "lambda" if code.co_name == "<lambda>" else "def"
    wanted = ast.Lambda if kind == "lambda" else Function
    nodes = [at for at in text.nodes if isinstance(at.node, wanted) and at.line == code.co_firstlineno]
    if kind == "def":
        nodes = [at for at in nodes if at.node.name == code.co_name]
    elif len(nodes) > 1:
        nodes = _only(code, nodes)
    if not nodes:
        raise NoSource(f"{named(function)} has no source of its own: it cannot be told from others in that line")
    if kind == "lambda" and not _can_be_cut(text.text, nodes[0].node):
        raise NoSource(f"{named(function)} cannot be cut out of that line")
    return text.definition(kind, nodes[0], code.co_flags), nodes[0].node


def _can_be_cut(text: str, node: ast.Lambda) -> bool:
    """Whether it stands where its node says: inside of f-strings, Python 3.11 tells nonsense."""
    try:
        cut = parsed(f"({ast.get_source_segment(text, node)}\n)").body[0]
    except (SyntaxError, ValueError):
        return False
    return isinstance(cut, ast.Expr) and ast.dump(cut.value) == ast.dump(node)


def _why_none(function: types.FunctionType) -> str:
    filename, name = function.__code__.co_filename, named(function)
    if filename.startswith(("<stdin>", "<python-input", "<ipython")):
        return f"{name} was typed at a prompt, or came from standard input; its source is not available"
    if filename.startswith("<"):
        return f"{name} was made by exec; its source is not available"
    return f"the source file {os.path.basename(filename)} of {name} cannot be read"


def _only(code: types.CodeType, nodes: list[Found]) -> list[Found]:
    """Those of several lambdas that this code can come from; none if they differ."""
    spots = [(step.positions, step) for step in dis.get_instructions(code) if step.positions is not None]
    inner = [
        ((spot.lineno, spot.col_offset), (spot.end_lineno, spot.end_col_offset))
        for spot, _ in spots
        if spot.col_offset is not None and (spot.col_offset, spot.end_col_offset) != (0, 0)
    ]
    if inner:
        first, last = min(begin for begin, _ in inner), max(end for _, end in inner)
        around = [at for at in nodes if _span(at.node.body)[0] <= first and last <= _span(at.node.body)[1]]
        nodes = sorted(around, key=lambda at: _span(at.node)[0], reverse=True)[:1]  # the innermost
    elif (value := _constant(code)) is not None:  # Python 3.12 forgets where it was
        nodes = [
            at for at in nodes if isinstance(at.node.body, ast.Constant) and repr(at.node.body.value) == repr(value[0])
        ]
    return nodes if len({ast.dump(at.node) for at in nodes}) == 1 else []


def _constant(code: types.CodeType) -> tuple[Any] | None:
    """What code returns that does nothing else."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "RETURN_VALUE")]
    constant = len(steps) == 1 and steps[0].opname in ("LOAD_CONST", "RETURN_CONST", "LOAD_SMALL_INT")
    return (steps[0].argval,) if constant else None


def _span(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


class CutClass(NamedTuple):
    """A class in its file. `code` is that of its body."""

    definition: Definition
    node: ast.ClassDef
    code: types.CodeType

    def contains(self, code: types.CodeType) -> bool:
        """Whether this code was written inside of it."""
        here = self.definition.line <= code.co_firstlineno <= (self.node.end_lineno or 0)
        return here and code.co_filename == self.definition.filename


def cut_class(kind: type, functions: list[types.FunctionType]) -> CutClass | None:
    """A class's definition; `functions` are those in its dictionary. None: no statement made it. Raises NoSource."""
    for filename in _files_of(kind, functions):
        text = source_text(filename, getattr(sys.modules.get(kind.__module__), "__dict__", {}))
        if text is None:
            continue
        nodes = [at for at in text.nodes if isinstance(at.node, ast.ClassDef) and at.qualname == kind.__qualname__]
        inside = {each.__code__.co_firstlineno for each in functions if each.__code__.co_filename == filename}
        inside |= {kind.__dict__.get("__firstlineno__", 0)} - {0}
        if len(nodes) > 1 and inside:
            nodes = [at for at in nodes if any(at.line <= line <= at.node.end_lineno for line in inside)]
        if len(nodes) > 1:
            raise NoSource(f"there are several classes {kind.__qualname__} in {os.path.basename(filename)}")
        if nodes:
            return _checked(kind, text, nodes[0], functions)
    return None


def _checked(kind: type, text: SourceText, at: Found, functions: list[types.FunctionType]) -> CutClass:
    own = [each.__code__ for each in functions if each.__code__.co_filename == text.filename]
    own = [code for code in own if at.line <= code.co_firstlineno <= (at.node.end_lineno or 0)]
    flags = own[0].co_flags if own else 0
    codes = [code for line in {at.line, at.node.lineno} for code in text.codes(flags).get((at.node.name, line), ())]
    if not codes or not all(map(text.has, own)):
        name = os.path.basename(text.filename)
        raise NoSource(f"the source of class {kind.__qualname__} has changed since it was loaded ({name})")
    return CutClass(text.definition("class", at, codes[0].co_flags), at.node, codes[0])


def _files_of(kind: type, functions: list[types.FunctionType]) -> list[str]:
    """Where its statement may be: where its functions are, in its module's file, in what was typed last."""
    prefix = kind.__qualname__ + "."
    own = [each.__code__.co_filename for each in functions if each.__qualname__.startswith(prefix)]
    home = getattr(sys.modules.get(kind.__module__), "__file__", None)
    typed = [name for name, entry in reversed(linecache.cache.items()) if len(entry) > 1 and entry[1] is None]
    return list(dict.fromkeys(name for name in (*own, home, *typed) if name and name != "<string>"))
