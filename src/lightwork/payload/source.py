"""The source envelope: a computation for workers of other minor versions, where bytecode would crash the interpreter.

    envelope = fields:  python     the client's minor version, "3.11"
                        call       pickle of (function, injected names, init_depends)
                        setup, cleanup   pickle of (function, args, kwargs)
                        more.N     pickle of classes that arguments are made of
                        refused    there is none, and why

The pickles are plain ones (source_pickler), read by worker/source_loader.py. What cannot go that way is no error: it
leaves a sentence in `Computation.untravellable`, and the computation runs on workers of its own version only.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import field

from lightwork.model.errors import CannotTravel
from lightwork.payload.cutting import NoSource
from lightwork.payload.modules import LocalFiles
from lightwork.payload.source_pickler import Pickler, Scopes, Sent
from lightwork.wire.outcome import encode_fields

if TYPE_CHECKING:
    from lightwork.payload.computation import PackedComputation


BOTH = b"\0LWBOTH\1"  # JobOptions.injected in two forms: this, and fields "pickle", "source" or "refused"
_PARTS = ("setup", "cleanup")
_HIDDEN = (b"\x8c\x0e_make_function", b"\n_make_function\n")  # how pickles inside of pickles name what makes functions


class SourceForm(msgspec.Struct):
    """The source form of a computation: pickles by part, and why a part has none."""

    parts: Mapping[str, bytes] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    scopes: Scopes = field(default_factory=Scopes)
    classes: frozenset[int] = frozenset()  # by id: those that workers have of it, setup apart

    @property
    def reason(self) -> str:
        """Why it cannot go; empty: it can."""
        return next(iter(self.refused.values()), "")

    def kept(self) -> SourceForm:
        """What a further computation of the same environment begins with."""
        setups = {part: data for part, data in self.parts.items() if part in _PARTS}
        return SourceForm(setups, {part: why for part, why in self.refused.items() if part in _PARTS}, self.scopes)

    def add(self, part: str, value: object, local: LocalFiles) -> None:
        """Pickle one part; the local modules that it needs there are added to `local`."""
        try:
            data, sent = dumps(value, self.scopes)
        except NoSource as error:
            self.refused = {**self.refused, part: str(error)}
            return
        self.parts = {**self.parts, part: data}
        if part not in _PARTS:
            self.classes |= frozenset(sent.classes)
        for name in sorted(sent.references):
            local.add(name)

    def with_more(self, classes: list[type], local: LocalFiles) -> SourceForm:
        """The same, and classes that arguments are made of."""
        wider = SourceForm(self.parts, self.refused, self.scopes, self.classes)
        if classes:
            wider.add(f"more.{len(self.parts)}", classes, local)
        return wider

    def with_injected(self, pickled: bytes, names: object, local: LocalFiles) -> tuple[bytes, str]:
        """Names for some jobs (JobOptions.injected) in both forms; or the pickle alone, and why."""
        form = SourceForm(scopes=self.scopes)
        form.add("call", names, local)
        if form.refused:
            return pickled, form.reason
        return BOTH + encode_fields({"pickle": pickled, "source": form.envelope()}), ""

    def envelope(self) -> bytes:
        """Its bytes; none if it cannot go."""
        return b"" if self.refused else _envelope(self.parts)


def _envelope(parts: Mapping[str, bytes]) -> bytes:
    return encode_fields({"python": version_text(sys.version_info[:2]).encode(), **parts})


def dumps(value: object, scopes: Scopes) -> tuple[bytes, Sent]:
    """Pickle in source form. Raises NoSource."""
    file, sent = io.BytesIO(), Sent()
    try:
        Pickler(file, scopes, sent).dump(value)
    except NoSource:
        raise
    except RecursionError:
        raise NoSource("its objects are nested too deeply") from None
    except Exception as error:
        raise NoSource(f"{type(error).__name__}: {error}".rstrip(".")) from error
    data = file.getvalue()
    if any(name in data for name in _HIDDEN):
        raise NoSource("an object in it pickles functions by itself, as bytecode")
    return data, sent


def setup_source(packed: PackedComputation) -> bytes:
    """For Tailoring.setup_source: setup and cleanup alone; if they cannot go, why."""
    form = packed.form
    if form is None:
        return _envelope({"refused": packed.wire.untravellable.encode()})
    reasons = [form.refused[part] for part in _PARTS if part in form.refused]
    if reasons:
        return _envelope({"refused": reasons[0].encode("utf-8", "replace")})
    return _envelope({part: data for part, data in form.parts.items() if part in _PARTS})


def check_interpreters(packed: PackedComputation, versions: Iterable[tuple[int, int]]) -> None:
    """Raises CannotTravel if it can run under none of these versions, those of the nodes; both sides are named."""
    wire, there = packed.wire, sorted(set(versions))
    if not there or not wire.untravellable or wire.python in there:
        return
    ours = version_text(wire.python)
    have = " and ".join(filter(None, (", ".join(map(version_text, there[:-1])), version_text(there[-1]))))
    raise CannotTravel(
        f"{wire.name} cannot go to another Python: {wire.untravellable}; this is Python {ours}, the nodes have {have}.",
        hint=f"install Python {ours} on the nodes (lightwork node --python PATH names it), or use theirs here",
    )


def version_text(version: tuple[int, ...]) -> str:
    """A minor version as people write it."""
    return f"{version[0]}.{version[1]}"
