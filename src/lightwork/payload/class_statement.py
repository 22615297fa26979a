"""What of a class statement can be run again elsewhere, and what goes by value in its place (see source_classes)."""

from __future__ import annotations

import abc
import ast
import builtins
import enum
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lightwork.payload.cutting import CutClass, Function, NoSource
from lightwork.payload.modules import kind_of

if TYPE_CHECKING:
    from lightwork.payload.source_pickler import Pickler

_UNKNOWN = object()
OF_EACH_CLASS = {
    "__dict__", "__weakref__", "__module__", "__qualname__", "__name__", "__firstlineno__", "__static_attributes__",
    "__abstractmethods__", "_abc_impl", "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__",
}  # fmt: skip
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LITERALS = (str, bytes, int, float, complex, bool, type(None))


class Statement:
    """One class statement.

    dropped   decorators that are left out, by number
    bare      methods whose decorators are left out
    given     values that stand in for expressions: "bases", an attribute's name, "NAME@LINE" of a method's defaults
    free      its variables that belong to the function around it, with their cells
    """

    def __init__(
        self,
        pickler: Pickler,
        kind: type,
        cut: CutClass,
        globals_: dict[str, Any],
        functions: list[types.FunctionType],
        inner: list[types.FunctionType],
    ) -> None:
        self._pickler, self._kind, self._cut, self._globals = pickler, kind, cut, globals_
        self._functions, self._inner = functions, inner
        self.free = self._cells()
        self.dropped = [at for at, each in enumerate(cut.node.decorator_list) if not self._kept(each)]
        made_over = type(kind) not in (type, abc.ABCMeta) or "__orig_bases__" in vars(kind)
        self._wrapped = made_over or len(self.dropped) < len(cut.node.decorator_list)
        methods = [node for node in cut.node.body if isinstance(node, Function)]
        self.bare = {node.name for node in methods if not all(map(self._kept, node.decorator_list))}
        self.given: dict[str, Any] = {}
        self._give_bases()
        for node in cut.node.body:
            if isinstance(node, Function):
                self._give_defaults(node)
            else:
                self._give_value(node)

    # --- what is kept

    def _cells(self) -> dict[str, types.CellType]:
        known: dict[str, types.CellType] = {}
        for function in [*self._functions, *self._inner]:
            known.update(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        own = [name for name in self._cut.code.co_freevars if name.isidentifier() and name != "__class__"]
        return {name: known.get(name) or types.CellType() for name in own}

    def _kept(self, decorator: ast.expr) -> bool:
        """Whether a decorator can be called again: it is of a module, or of the class itself (`@size.setter`)."""
        root: Any = decorator
        while isinstance(root, ast.Call | ast.Attribute):
            root = root.func if isinstance(root, ast.Call) else root.value
        if not isinstance(root, ast.Name) or any(self._is_lost(name) for name in _loads(decorator)):
            return False
        if any(isinstance(node, Function) and node.name == root.id for node in self._cut.node.body):
            return True
        value = self._value_of(root)
        if isinstance(value, types.ModuleType):
            return self._importable(value)
        return isinstance(value, types.FunctionType | types.BuiltinFunctionType | type) and self._importable(value)

    def _is_lost(self, name: str) -> bool:
        """Whether it is a variable of a function that has returned, and that nothing in the class has kept."""
        return name in self.free and name != self._kind.__name__ and self._value_of(ast.Name(name)) is _UNKNOWN

    def _importable(self, value: Any) -> bool:
        try:
            return self._pickler.by_name(value)
        except NoSource:
            return False

    def _value_of(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Attribute):
            owner = self._value_of(node.value)
            return _UNKNOWN if owner is _UNKNOWN else getattr(owner, node.attr, _UNKNOWN)
        if not isinstance(node, ast.Name):
            return _UNKNOWN
        if node.id in self.free:
            try:
                return self.free[node.id].cell_contents
            except ValueError:  # nobody knows any more
                return _UNKNOWN
        return self._globals.get(node.id, getattr(builtins, node.id, _UNKNOWN))

    # --- what goes by value

    def _give_bases(self) -> None:
        node, bases = self._cut.node, self._kind.__bases__
        if "__orig_bases__" in vars(self._kind) or not node.bases or len(node.bases) != len(bases):
            return
        values = [self._value_of(each) for each in node.bases]
        if all(value is _UNKNOWN or value is base for value, base in zip(values, bases, strict=True)):
            self.given["bases"] = bases

    def _give_value(self, node: ast.stmt) -> None:
        """`name = expression`: the value, unless it is written there, or somebody else made something of it."""
        if isinstance(self._kind, enum.EnumMeta) or not isinstance(node, ast.Assign | ast.AnnAssign):
            return
        if isinstance(node, ast.AnnAssign) and self._wrapped:
            return
        name, value = _assigned(node), self.attribute(_assigned(node))
        if node.value is not None and name and _literal(node.value) is _UNKNOWN and _is_data(value):
            if self._pickler.plain(value):
                self.given[name] = value

    def _give_defaults(self, node: Any) -> None:
        given = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        if all(_literal(each) is not _UNKNOWN for each in given):
            return
        lines = {node.lineno, *(each.lineno for each in node.decorator_list)}
        for function in self._functions:
            code = function.__code__
            if code.co_name == node.name and code.co_firstlineno in lines:
                values = (function.__defaults__ or (), function.__kwdefaults__ or {})
                if self._pickler.plain(values):
                    self.given[f"{node.name}@{node.lineno}"] = values

    def attribute(self, name: str) -> Any:
        """What the class has under a name that is written in it."""
        return vars(self._kind).get(_mangled(self._kind, name), _UNKNOWN)

    # --- what is needed first, and what comes afterwards

    def needed(self) -> set[str]:
        """Names that the statement looks up while it runs. Raises NoSource for one that nobody knows any more."""
        node = self._cut.node
        found = {name for at, each in enumerate(node.decorator_list) if at not in self.dropped for name in _loads(each)}
        found |= {name for each in node.keywords for name in _loads(each)}
        if "bases" not in self.given:
            found |= {name for each in node.bases for name in _loads(each)}
        found |= self._needed_by(node.body) | {name for name in self.told if self._can_wait_for_none(name)}
        for name in found & set(self.free):
            if self._is_lost(name):
                owner = f"class {self._kind.__qualname__.replace('<locals>.', '')}"
                raise NoSource(f"{owner} is made with the variable `{name}` of a function that has returned")
        return found

    @property
    def told(self) -> set[str]:
        """Names in annotations that are text: decorators may look there, but need not."""
        if not self._cut.definition.future:
            return set()
        fields = [node for node in self._cut.node.body if isinstance(node, ast.AnnAssign)]
        return {name for node in fields for name in _loads(node.annotation)} - set(self.free)

    def _can_wait_for_none(self, name: str) -> bool:
        """Whether it waits for no class of the user's, which may wait for this one."""
        value = self._globals.get(name, _UNKNOWN)
        return isinstance(value, types.ModuleType) or (value is not _UNKNOWN and self._pickler.plain(value))

    def _needed_by(self, body: list[ast.stmt]) -> set[str]:
        found: set[str] = set()
        stored: set[str] = set()
        for node in body:
            found |= {name for part in self._run(node) for name in _loads(part)} - stored
            stored |= _stores(node)
        return found

    def _run(self, node: ast.stmt) -> Iterator[ast.AST]:
        """The parts of a statement in the class that are run again."""
        if isinstance(node, Function):
            if node.name not in self.bare:
                yield from node.decorator_list
            if f"{node.name}@{node.lineno}" not in self.given:
                yield from (*node.args.defaults, *filter(None, node.args.kw_defaults))
            if not self._cut.definition.future:
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg]
                yield from (each.annotation for each in [*every, node.args.kwarg] if each and each.annotation)
                yield from [node.returns] if node.returns else []
        elif isinstance(node, ast.AnnAssign):
            yield from [] if self._cut.definition.future else [node.annotation]
            yield from [node.value] if node.value is not None and _assigned(node) not in self.given else []
        elif not (isinstance(node, ast.Assign) and _assigned(node) in self.given):
            yield node

    def changed(self) -> dict[str, Any]:
        """Attributes that are not what running the statement again makes them."""
        found = {name: self.attribute(name) for name in self.bare}
        if isinstance(self._kind, enum.EnumMeta):
            return found
        written = {name: node for node in self._cut.node.body for name in _stores(node)}
        for name, node in written.items():
            value = self.attribute(name)
            if isinstance(node, Function) and name not in self.bare:
                if not node.decorator_list and not self._is_of(value, node):
                    found[name] = value
            elif isinstance(node, ast.Assign | ast.AnnAssign) and name not in self.given and _is_data(value):
                expression = node.value if _assigned(node) else None
                if not _equal(_literal(expression) if expression else _UNKNOWN, value):
                    found[name] = value
        found.update(self._added(set(written)))
        return {_mangled(self._kind, name): value for name, value in found.items() if value is not _UNKNOWN}

    def _added(self, written: set[str]) -> Iterator[tuple[str, Any]]:
        """What a decorator of the user's, or an assignment from outside, has put into the class."""
        written = {_mangled(self._kind, name) for name in written}
        for name, value in vars(self._kind).items():
            inner = getattr(value, "__func__", value)
            if (
                name in written
                or name in OF_EACH_CLASS
                or (name[:2] == name[-2:] == "__" and not isinstance(inner, types.FunctionType))
            ):
                continue
            if isinstance(inner, types.FunctionType):
                if not self._cut.contains(inner.__code__) and not self._is_generated(inner):
                    yield name, value
            elif not self._wrapped and (isinstance(value, property) or _is_data(value)):
                yield name, value

    def _is_of(self, value: Any, node: Any) -> bool:
        """Whether an attribute is the very function that a `def` made."""
        value = getattr(value, "__func__", value)  # __init_subclass__ and __class_getitem__ are class methods
        return (
            isinstance(value, types.FunctionType)
            and (value.__code__.co_name, value.__code__.co_firstlineno) == (node.name, node.lineno)
            and value.__code__.co_filename == self._cut.definition.filename
        )

    def _is_generated(self, function: types.FunctionType) -> bool:
        """Whether it is something that an installed decorator makes again."""
        home = str(function.__globals__.get("__name__", ""))
        return function.__code__.co_filename.startswith("<") or kind_of(home) == "installed"


def _mangled(kind: type, name: str) -> str:
    private = name.startswith("__") and not name.endswith("__")
    return f"_{kind.__name__.lstrip('_')}{name}" if private else name


def _assigned(node: ast.Assign | ast.AnnAssign) -> str:
    """The one name that is assigned; empty if it is none, or several."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _stores(node: ast.stmt) -> set[str]:
    """Names that a statement in a class binds."""
    if isinstance(node, Function | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _loads(node: ast.AST) -> Iterator[str]:
    """Names that are looked up as soon as this is run: not those inside of functions in it."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            yield node.id
        return
    if isinstance(node, _COMPREHENSIONS):
        own = {each.id for part in node.generators for each in ast.walk(part.target) if isinstance(each, ast.Name)}
        yield from (name for child in ast.iter_child_nodes(node) for name in _loads(child) if name not in own)
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(node, Function | ast.Lambda) and child is not node.args:
            if not isinstance(node, Function) or child not in node.decorator_list:
                continue
        yield from _loads(child)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # it has to be computed
        return _UNKNOWN


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    return one == other and (type(one) in _LITERALS or repr(one) == repr(other))


def _is_data(value: Any) -> bool:
    return value is not _UNKNOWN and not isinstance(value, type) and not hasattr(type(value), "__get__")
