"""The loopback credential: a private file, and proofs that cannot be turned around."""

import os
import stat

import pytest

from lightwork.model.errors import Unreachable, WrongCredential
from lightwork.security import token_file
from lightwork.security.token_file import DIAL, LISTEN, Token


def test_file_is_private_and_comes_back(tmp_path):
    path, token = tmp_path / "lab.token", Token.new()
    old = os.umask(0)
    try:
        token_file.create(path, "tcp:127.0.0.1:40123", token)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    address, same = token_file.read(path)
    assert address == "tcp:127.0.0.1:40123"
    assert same.hex() == token.hex()
    token_file.create(path, "tcp:127.0.0.1:1", Token.new())
    assert token_file.read(path)[0] == "tcp:127.0.0.1:1"
    assert os.listdir(tmp_path) == ["lab.token"]


def test_each_side_has_its_own_proof():
    token, other = Token.new(), Token.new()
    assert token.matches(token.proof(DIAL), DIAL)
    assert token.matches(token.proof(LISTEN), LISTEN)
    assert not token.matches(token.proof(DIAL), LISTEN)
    assert not token.matches(token.proof(LISTEN), DIAL)
    assert not token.matches(other.proof(DIAL), DIAL)
    assert not token.matches("", DIAL)
    assert not token.matches("né", DIAL)
    assert token.hex() not in token.proof(DIAL)
    assert token.hex() not in repr(token)


def test_an_open_file_is_refused(tmp_path):
    path = tmp_path / "lab.token"
    token_file.create(path, "tcp:127.0.0.1:1", Token.new())
    path.chmod(0o644)
    with pytest.raises(WrongCredential, match=r"lab\.token") as caught:
        token_file.read(path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("text", ["", "one", "a b c", "tcp:127.0.0.1:1\nxyz\n", "tcp:127.0.0.1:1\nabcd\n", "\xff"])
def test_what_is_no_token_file(tmp_path, text):
    path = tmp_path / "t"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(Unreachable, match="t"):
        token_file.read(path)


def test_none_there(tmp_path):
    with pytest.raises(Unreachable, match="does not exist"):
        token_file.read(tmp_path / "t")
    with pytest.raises(OSError):
        token_file.create(tmp_path / "none" / "t", "x", Token.new())
