"""Functions and classes from source text, for computations that come from another version of Python.

    definition = (kind, file name, first line, whole lines, span, owner, future)

    def, lambda   compiled inside of a function that has its free variables as parameters (and of the class that mangles
                  its private names), never run: the code object is taken out and gets globals, defaults and cells here
    class         its statement is run, with values in place of what cannot be computed here

Lines and columns are those of the user's file, so tracebacks show what they would show there. Annotations stay text
where this Python is older than the text: what they say may not exist here.
"""

from __future__ import annotations
import __future__

import ast
import sys
import types
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from lightwork.worker.loader import version

Definition = Tuple[str, str, int, str, Tuple[int, int], str, bool]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_GIVEN = "__lightwork_given__"


class SourceError(Exception):
    """Source that this version of Python cannot run."""


def newer_than_ours(home: str) -> bool:
    """Whether a client's version ("3.11") is newer than ours."""
    return tuple(int(part) for part in home.split(".")[:2]) > sys.version_info[:2]


def syntax_sentence(error: SyntaxError, home: str, line: int = 0) -> str:
    """What to say of source that our parser refuses."""
    what = "the source needs a newer Python than" if newer_than_ours(home) else "the source is not valid in Python"
    text = (error.text or "").strip()
    where = "line %d of %s" % (line or error.lineno or 0, error.filename)
    return "%s %s: %s: %s" % (what, version(), where, text or error.msg)


class Compiler:
    """Compiles the definitions of one computation; `home` is the client's version."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._older_here = newer_than_ours(home)

    def function(self, definition: Definition, free: Iterable[str]) -> types.CodeType:
        """The code of a function or lambda. Raises SourceError."""
        kind, filename, _, _, _, owner, future = definition
        node = self._node(definition)
        if kind == "lambda":
            body: Any = ast.Expr(node)
        else:
            body = _bare(node)
            node.returns = None
            for each in _arguments(node.args):
                each.annotation = None
        _without_defaults(node.args)
        path = [node.name if kind == "def" else "<lambda>"]
        if owner:
            body = _class_around(owner, body)
            path.insert(0, owner)
        parameters = [name for name in free if name.isidentifier() and not (owner and name == "__class__")]
        if parameters:
            body = _function_around("_", parameters, [body])
            path.insert(0, "_")
        code = self._compile([body], filename, future)
        for name in path:
            code = _inner(code, name)
        return code

    def class_(
        self,
        definition: Definition,
        scope: Dict[str, Any],
        free: Dict[str, Any],
        form: Dict[str, Any],
    ) -> Any:
        """Run a class statement. Raises SourceError, and whatever decorators and base classes raise."""
        _, filename, _, _, _, _, future = definition
        node, given = self._node(definition), form.get("given", {})
        _with_values(node, given, form.get("drop", ()), form.get("bare", ()))
        scope[_GIVEN] = given.__getitem__
        try:
            if not free:
                made: Dict[str, Any] = {}
                exec(self._compile([node], filename, future), scope, made)
                return made[node.name]
            build = [ast.Nonlocal([node.name])] if node.name in free else []
            maker = _function_around("_build", [], [*build, node, ast.Return(ast.Name(node.name, ast.Load()))])
            code = self._compile([_function_around("_", list(free), [maker])], filename, future)
            code = _inner(_inner(code, "_"), "_build")
            return types.FunctionType(code, scope, "_build", None, closure_of(code, free))()
        finally:
            del scope[_GIVEN]

    def _node(self, definition: Definition) -> Any:
        kind, filename, line, text, span, _, _ = definition
        indented = kind != "lambda" and text[:1] in (" ", "\t")
        before = 0
        if indented:
            text, before = "if 1:\n" + text, 1
        elif kind == "lambda":
            text, before = _cut_out(text, span), 1
        try:
            tree: Any = _quietly(ast.parse, text, filename)
        except SyntaxError as error:
            at = (error.lineno or 1) + line - 1 - before
            raise SourceError(syntax_sentence(error, self._home, at)) from None
        ast.increment_lineno(tree, line - 1 - before)
        node: Any = tree.body[0]
        return node.value if kind == "lambda" else node.body[0] if indented else node

    def _compile(self, body: List[Any], filename: str, future: bool) -> types.CodeType:
        flags = __future__.annotations.compiler_flag if future or self._older_here else 0
        module = ast.fix_missing_locations(ast.Module(body, []))
        try:
            code: types.CodeType = _quietly(compile, module, filename, "exec", flags, True)
        except SyntaxError as error:
            raise SourceError(syntax_sentence(error, self._home)) from None
        return code


def _quietly(make: Callable[..., Any], *args: Any) -> Any:
    """What our version has to remark on the text is not the job's output."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args)


def _cut_out(text: str, span: Tuple[int, int]) -> str:
    """A lambda in brackets that begin a line above, with nothing around it, and in its own columns."""
    lines = text.rstrip("\n").encode("utf-8", "surrogatepass").split(b"\n")
    lines[-1] = lines[-1][: span[1]]
    lines[0] = b" " * span[0] + lines[0][span[0] :]
    return "(\n" + b"\n".join(lines).decode("utf-8", "surrogatepass") + "\n)"


def _bare(node: Any) -> Any:
    node.decorator_list = []
    if hasattr(node, "type_params"):
        node.type_params = []
    return node


def _arguments(args: ast.arguments) -> List[ast.arg]:
    every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    return [each for each in every if each is not None]


def _without_defaults(args: ast.arguments) -> None:
    args.defaults = []
    args.kw_defaults = [None] * len(args.kwonlyargs)


def _function_around(name: str, parameters: List[str], body: List[Any]) -> Any:
    node: Any = ast.parse("def %s(%s): pass" % (name, ", ".join(parameters))).body[0]
    node.body = body
    return node


def _class_around(name: str, body: Any) -> Any:
    node: Any = ast.parse("class %s: pass" % name).body[0]
    node.body = [body]
    return node


def _inner(code: types.CodeType, name: str) -> types.CodeType:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType) and constant.co_name == name:
            return constant
    raise SourceError("the source has no %s in it" % name)


def closure_of(code: types.CodeType, cells: Dict[str, Any]) -> Optional[Tuple[Any, ...]]:
    """The cells that code needs, in its order; variables that the client's compiler did not see are empty."""
    found = tuple(cells.get(name) or types.CellType() for name in code.co_freevars)
    return found or None


# --- class statements


def _with_values(node: Any, given: Dict[str, Any], dropped: Iterable[int], bare: Iterable[str]) -> None:
    """Put lookups of given values into a class statement."""
    node.decorator_list = [each for at, each in enumerate(node.decorator_list) if at not in dropped]
    if "bases" in given:
        node.bases = [ast.Starred(_lookup("bases"), ast.Load())]
    for each in node.body:
        if isinstance(each, _FUNCTIONS):
            if each.name in bare:
                each.decorator_list = []
            _give_defaults(each, given)
        elif isinstance(each, (ast.Assign, ast.AnnAssign)):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            if len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id in given:
                each.value = _lookup(targets[0].id)


def _give_defaults(node: Any, given: Dict[str, Any]) -> None:
    key = "%s@%d" % (node.name, node.lineno)
    if key not in given:
        return
    positional, keyword = given[key]
    given.update(("%s %d" % (key, at), value) for at, value in enumerate(positional))
    given.update(("%s %s" % (key, name), value) for name, value in keyword.items())
    node.args.defaults = [_lookup("%s %d" % (key, at)) for at in range(len(positional))]
    for at, (arg, default) in enumerate(zip(node.args.kwonlyargs, node.args.kw_defaults)):
        if default is not None and arg.arg in keyword:
            node.args.kw_defaults[at] = _lookup("%s %s" % (key, arg.arg))


def _lookup(key: str) -> Any:
    return ast.Call(ast.Name(_GIVEN, ast.Load()), [ast.Constant(key)], [])
