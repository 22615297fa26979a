"""Ctrl-C before the command is there to hear it."""

import os
import signal
import sys

import pytest

from lightwork.__main__ import main


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to itself")
def test_ctrl_c_while_it_is_loaded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name == "lightwork.cli.main":
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.delitem(sys.modules, "lightwork.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    assert main() == 130
    assert capsys.readouterr().err == "error: interrupted\n"
