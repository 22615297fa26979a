"""What the shell of another machine is told: POSIX sh, every value quoted; and how the answers are read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

NO_PYTHON, NO_LIGHTWORK, NOT_THAT_PYTHON = 91, 92, 93  # statuses of ours
OWN = "$HOME/.local/share/lightwork/env"  # where --install puts it
_PROCESS = re.compile(r"it goes on as process (\d+)")
_RUNNING = re.compile(r"runs here already as process (\d+)")
_TROUBLE = re.compile(r"^warning: (.+; tried again .+)$", re.MULTILINE)
_LOG = re.compile(r"its log is (.+)$", re.MULTILINE)
_HEAD = """\
set -u
umask 077
cd /
own="{own}"
python={python}
find_python() {{
  for one in "$python" "$own/bin/python" python3 python3.13 python3.12 python3.11; do
    if "$one" -c 'import lightwork.cli.main' >/dev/null 2>&1; then python=$one; return 0; fi
  done
  for one in "$python" python3 python3.13 python3.12 python3.11; do
    if "$one" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      python=$one
      return {missing}
    fi
  done
  return {none}
}}
"""
_NAMED = 'if [ -n "$python" ] && ! "$python" -c "" >/dev/null 2>&1; then exit {wrong}; fi\n'
_FOUND = "find_python || exit $?\n"
_INSTALL = """\
find_python
case $? in
  {none}) exit {none} ;;
  {missing})
    "$python" -m venv "$own" && wheel="$own/{wheel}" || exit 1
    "$own/bin/python" -m base64 -d > "$wheel" <<'END' || exit 1
{data}
END
    "$own/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel" >&2 || exit 1
    rm -f "$wheel"
    python="$own/bin/python" ;;
esac
"""


def start(
    words: Sequence[str], environment: Mapping[str, str], python: str = "", wheel: tuple[str, str] = ("", "")
) -> str:
    """Start a node in the background. `wheel`: its file name and base64 text, to be installed if Lightwork is not."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    install = _INSTALL.format(none=NO_PYTHON, missing=NO_LIGHTWORK, wheel=wheel[0], data=wheel[1])
    found = _NAMED.format(wrong=NOT_THAT_PYTHON) + (install if wheel[0] else _FOUND)
    return _head(python) + found + exports + _call(["node", *words, "--single", "--detach"])


def stop(name: str, *, now: bool, python: str = "") -> str:
    """Stop the node of this name."""
    return _head(python) + _FOUND + _call(["node", "--stop", "--name", name, *(["--now"] if now else [])])


def process_of(told: str) -> int:
    """The pid that `lightwork node --detach` told; 0: it told none."""
    found = _PROCESS.search(told)
    return int(found[1]) if found else 0


def running_process(told: str) -> int:
    """The pid of the node of this name that had been there before; 0: there was none."""
    found = _RUNNING.search(told)
    return int(found[1]) if found else 0


def log_of(told: str) -> str:
    """The log that it told."""
    found = _LOG.search(told)
    return found[1] if found else ""


def trouble_of(told: str) -> str:
    """Why it has not joined yet; "": nothing is wrong."""
    found = _TROUBLE.search(told)
    return found[1] if found else ""


def _head(python: str) -> str:
    return _HEAD.format(own=OWN, python=shlex.quote(python), missing=NO_LIGHTWORK, none=NO_PYTHON)


def _call(words: Sequence[str]) -> str:
    return 'exec "$python" -m lightwork ' + " ".join(map(shlex.quote, words)) + "\n"
