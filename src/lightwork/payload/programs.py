"""Programs and modules as computations: what to run, what has to be there, and how arguments become strings."""

from __future__ import annotations

import os
import types

from lightwork.kit import text
from lightwork.model.errors import UserError
from lightwork.payload import files, modules, names
from lightwork.wire import outcome

PYTHON = "{python}"  # the node's interpreter
DIRECTORY = "{directory}/"  # the computation's directory on the node
ARGUMENTS_MAX = 6 << 20  # no system takes more
_SYSTEM = ("/bin/", "/sbin/", "/usr/", "/lib/", "/lib64/", "/opt/", "/System/", "/Library/", "/nix/store/", "/snap/")
_SCRIPTS = (".py", ".pyw")


def program_argv(program: str, fileset: files.FileSet) -> tuple[str, ...]:
    """The first arguments of a program given by path or by name; a program of the user's own goes into `fileset`.

    Raises UserError if there is no such program or it cannot be executed.
    """
    path = program if os.path.isfile(program) else _look_up(program)
    absolute = os.path.abspath(path)
    script = absolute.lower().endswith(_SCRIPTS) and (os.name == "nt" or not os.access(absolute, os.X_OK))
    if not script and not os.access(absolute, os.X_OK):
        raise UserError(f"'{program}' is not executable.", hint=f"chmod +x {program}")
    if _belongs_to_system(absolute):
        return (PYTHON, absolute) if script else (absolute,)
    place = files.place_of(absolute)
    mode = os.stat(absolute).st_mode & 0o777
    fileset.add_file(absolute, place, mode if script else mode | 0o500)
    if absolute.lower().endswith(_SCRIPTS):
        _add_neighbours(absolute, fileset)
    return (PYTHON, DIRECTORY + place) if script else (DIRECTORY + place,)


def _look_up(program: str) -> str:
    import difflib
    import shutil

    found = shutil.which(program)
    if found is not None:
        return found
    if os.path.isdir(program):
        raise UserError(f"'{program}' is a directory, not a program.")
    if os.path.dirname(program):
        present = _names_in(os.path.dirname(program))
        where = f"in {os.path.abspath(os.path.dirname(program))}"
    else:
        present = sorted(
            {name for directory in os.get_exec_path() for name in _names_in(directory)} | set(_names_in("."))
        )
        where = "here or in PATH"
    near = difflib.get_close_matches(os.path.basename(program), present, n=3)
    raise UserError(
        f"there is no program '{program}' {where}.", hint=f"did you mean {text.listed(near)}?" if near else ""
    )


def _names_in(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:  # PATH may name what does not exist or may not be read
        return []


def _belongs_to_system(path: str) -> bool:
    if os.name == "nt":
        return path.lower().startswith(os.environ.get("SYSTEMROOT", "C:\\Windows").lower() + os.sep)
    return path.startswith(_SYSTEM) or modules.is_installed_path(path)


def _add_neighbours(script: str, fileset: files.FileSet) -> None:
    """The local modules that a Python script imports: those beside it, and those this process would find."""
    local = modules.LocalFiles(first=os.path.dirname(script))
    for name in modules.imports_of_file(script):
        local.add(name)
    add_local(local, fileset)


def add_local(local: modules.LocalFiles, fileset: files.FileSet) -> None:
    """Put files of local modules into a set."""
    for place, origin in local.files.items():
        if isinstance(origin, bytes):
            fileset.add_content(origin, place)
        else:
            fileset.add_file(origin, place)


def module_argv(module: types.ModuleType, fileset: files.FileSet) -> tuple[str, ...]:
    """`python -m module`."""
    name = module.__name__
    kind = modules.kind_of(name)
    if kind == "homeless":
        raise UserError(
            f"module '{name}' has no file, so it cannot be run elsewhere.", hint="give the program by its path instead"
        )
    if hasattr(module, "__path__") and modules.find(f"{name}.__main__") is None:
        raise UserError(
            f"package '{name}' cannot be run: it has no __main__.py.", hint="name a function or module of it"
        )
    local = modules.LocalFiles()
    for needed in (name, f"{name}.__main__") if hasattr(module, "__path__") else (name,):
        local.add(needed)
    add_local(local, fileset)
    return (PYTHON, "-m", name)


def program_arguments(args: tuple[object, ...], keywords: object = None) -> bytes:
    """The arguments of one run of a program, as fields; raises UserError naming one that is no text, path or number."""
    if keywords:
        raise UserError(
            "a program takes no keyword arguments.", hint="write them as the program expects: '--name=value'"
        )
    written = [_argument(at, value) for at, value in enumerate(args)]
    if (size := sum(map(len, written))) > ARGUMENTS_MAX:
        raise UserError(
            f"the arguments of the program have {text.size(size)}; no program can be given more than "
            f"{text.size(ARGUMENTS_MAX)}.",
            hint="write them to a file that the job depends on, or give them as stdin",
        )
    return outcome.encode_fields({str(at): argument for at, argument in enumerate(written)})


def _argument(at: int, value: object) -> bytes:
    if isinstance(value, str | bytes | os.PathLike):
        written = os.fspath(value)
        encoded = written if isinstance(written, bytes) else written.encode("utf-8", "surrogateescape")
    elif isinstance(value, float) or hasattr(value, "__index__"):
        encoded = str(value).encode()
    else:
        raise UserError(
            f"argument {at + 1} of the program is {names.a_thing(value)}; only text, paths and numbers can be passed.",
            hint="str(value), or write it to a file that the job depends on",
        )
    if b"\0" in encoded:
        raise UserError(f"argument {at + 1} of the program contains a NUL character, which no program can be given.")
    return encoded
