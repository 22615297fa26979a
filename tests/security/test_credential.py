"""Where a credential is looked for, and every way in which its files can be wrong."""

import os
import sys

import msgspec
import pytest

from lightwork.model.errors import UserError
from lightwork.security import secret
from lightwork.security.credential import Credential, check_reach, find, is_loopback
from tests.security.certificates import DAY, NOW, authority, make, private_file

ONE, TWO = secret.generate(), secret.generate()
posix = pytest.mark.skipif(sys.platform == "win32", reason="there the access list guards files")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LIGHTWORK_SECRET", raising=False)
    return tmp_path


def refused(match: str, **given) -> str:
    """The hint of the refusal."""
    with pytest.raises(UserError, match=match) as caught:
        find(**given)
    return caught.value.hint


# --- where ---


def test_none_anywhere():
    assert find() is None
    assert find(secret="", secret_file="", certfile="", environ={"LIGHTWORK_SECRET": ""}) is None


def test_the_nearest_counts(home):
    saved = secret.save(ONE)
    assert find() == Credential(secrets=(ONE,), origin=str(saved))
    environ = {"LIGHTWORK_SECRET": TWO}
    assert find(environ=environ) == Credential(secrets=(TWO,), origin="LIGHTWORK_SECRET")
    file = private_file(home / "mine", f"{ONE}\n{TWO}\n")
    assert find(secret_file=file, environ=environ) == Credential(secrets=(ONE, TWO), origin=str(file))
    assert find(secret="phrase", environ=environ) == Credential(secrets=("phrase",), origin="the secret argument")
    certfile, keyfile = make().write(home, "a")
    found = find(certfile=certfile, keyfile=str(keyfile), environ=environ)
    assert found is not None
    assert (found.secrets, found.origin, found.certificate) == ((), str(certfile), certfile.read_text())


def test_two_at_once_or_half_a_one(home):
    refused("secret and secret_file are two credentials", secret=ONE, secret_file="x")
    refused("secret_file and certfile are two", secret_file="x", certfile="y")
    refused("keyfile goes with a certfile", keyfile="x")
    refused("cafile goes with a certfile", secret=ONE, cafile="x")


def test_it_travels_and_is_not_shown(home):
    secrets = Credential(secrets=(ONE, "a phrase"), origin="x")
    assert msgspec.json.decode(msgspec.json.encode(secrets), type=Credential) == secrets
    certfile, keyfile = make().write(home, "a")
    own = find(certfile=certfile, keyfile=keyfile)
    assert msgspec.json.decode(msgspec.json.encode(own), type=Credential) == own
    for credential in (secrets, own):
        for shown in (repr(credential), str(credential), f"{[credential]}"):
            assert ONE[4:10] not in shown and "phrase" not in shown and "KEY" not in shown
    assert repr(secrets) == "Credential(secret from x)"


def test_guessable():
    assert Credential(secrets=("lab",)).guessable
    assert Credential(secrets=(ONE, "lab")).guessable
    assert not Credential(secrets=(ONE,)).guessable
    assert not Credential(certificate="x").guessable


# --- how far ---


def test_a_phrase_does_not_reach_beyond_this_machine():
    phrase, strong = Credential(secrets=("lab",), origin="the file"), Credential(secrets=(ONE,), origin="x")
    for address in ("tcp:127.0.0.1:9701", "tcp:127.9.9.9:1", "tcp:[::1]:9701", "tcp:localhost:9701"):
        assert "the secret from the file is a phrase" in check_reach(phrase, address, False)
        assert check_reach(strong, address, False) == ""
    assert check_reach(phrase, "unix:/run/x.sock", False) == check_reach(phrase, "loopback:/x", False) == ""
    for address in ("tcp:*:9701", "tcp:lab1:9701", "tcp:192.168.3.4:9701", "tcp:[fd00::1]:9701", "tcp:[::]:1"):
        with pytest.raises(UserError, match="the file is a phrase: whoever reaches") as caught:
            check_reach(phrase, address, False)
        assert "--weak-secret" in caught.value.hint and "lightwork secret" in caught.value.hint
        assert check_reach(phrase, address, True) == ""
        assert check_reach(strong, address, False) == ""


def test_loopback_by_its_text():
    assert all(
        map(is_loopback, ("localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1"))
    )
    assert not any(map(is_loopback, ("*", "0.0.0.0", "::", "lab", "", "10.0.0.1", "fe80::1%eth0", "localhost.example")))


# --- secret files ---


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_secret_that_others_can_read(home, mode):
    path = private_file(home / "s", ONE)
    path.chmod(mode)
    hint = refused(rf"the secret file .*s can be read or written by others \(mode {mode:04o}\)", secret_file=path)
    assert hint == f"chmod 600 {path}"
    saved = secret.save(ONE)
    saved.chmod(mode)
    refused("can be read or written by others")


@posix
def test_a_secret_of_another_user(home, monkeypatch):
    path = private_file(home / "s", ONE)
    real = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: real + 1)
    if real == 0:
        assert find(secret_file=path) is not None  # what root put there is trusted
        os.chown(path, 54321, -1)
    refused(rf"the secret file {path} belongs to another user \(number ", secret_file=path)


def test_what_is_no_secret_file(home):
    refused("the secret file .*none does not exist", secret_file=home / "none")
    refused("cannot read the secret file", secret_file=home)
    refused("cannot read the secret file", secret_file="a\0b")
    refused("is empty", secret_file=private_file(home / "empty", " \n"))
    refused(
        "has a typo: its checksum does not fit",
        secret_file=private_file(home / "typo", ONE[:-1] + ("1" if ONE[-1] != "1" else "2")),
    )
    refused("too large", secret_file=private_file(home / "large", "x" * (300 << 10)))
    binary = private_file(home / "binary", "")
    binary.write_bytes(b"\xff\xfe\x00")
    refused("is no text", secret_file=binary)
    refused("certificate or key, no secret", secret_file=make().write(home, "a")[1])


def test_typos_in_the_argument_and_the_variable_name_their_place():
    wrong = ONE[:-1] + ("2" if ONE[-1] != "2" else "3")
    refused(r"typo: its checksum does not fit \(the secret argument\)", secret=wrong)
    refused(r"typo: its checksum does not fit \(LIGHTWORK_SECRET\)", environ={"LIGHTWORK_SECRET": wrong})


def test_a_byte_order_mark_is_no_part_of_a_secret(home):
    path = private_file(home / "s", "")
    path.write_bytes(b"\xef\xbb\xbf" + ONE.encode() + b"\r\n")
    found = find(secret_file=path)
    assert found is not None
    assert found.secrets == (ONE,)


# --- certificates ---


def test_one_file_or_two_with_or_without_an_authority(home):
    lab = authority()
    node = make("node", lab)
    certfile, keyfile = node.write(home, "node")
    cafile = home / "ca.crt"
    cafile.write_text(lab.pem)
    both = private_file(home / "both.pem", node.key_pem() + node.chain)
    for found, authorities in (
        (find(certfile=certfile, keyfile=keyfile, cafile=cafile), lab.pem),
        (find(certfile=both, cafile=cafile), lab.pem),
        (find(certfile=both), lab.pem),
        (find(certfile=both, keyfile=keyfile), lab.pem),
        (find(certfile=certfile, keyfile=keyfile), node.pem),
    ):
        assert found is not None
        assert found.authorities == authorities
        assert found.certificate.startswith(node.pem)
        assert found.key == node.key_pem()


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
def test_keys_of_every_kind(home, kind):
    made = make(kind=kind)
    found = find(certfile=private_file(home / "both", made.pem + made.key_pem()))
    assert found is not None
    if kind != "ed25519":
        both = private_file(home / "old", "Bag Attributes\n" + made.key_pem(traditional=True) + made.pem)
        assert find(certfile=both) is not None


def test_swapped_and_missing_files(home):
    certfile, keyfile = make().write(home, "a")
    assert "swapped" in refused("a.key holds a private key but no certificate", certfile=keyfile, keyfile=certfile)
    assert "swapped" in refused("a.crt holds a certificate but no private key", certfile=certfile, keyfile=certfile)
    assert "keyfile" in refused("a.crt holds a certificate but no private key", certfile=certfile)
    assert "keyfile" in refused("a.key holds a private key but no certificate", certfile=keyfile)
    refused("certificate file .*none does not exist", certfile=home / "none")
    refused("key file .*none does not exist", certfile=certfile, keyfile=home / "none")
    refused("authority file .*none does not exist", certfile=certfile, keyfile=keyfile, cafile=home / "none")
    text = home / "text"
    text.write_text("hello")
    refused("text holds no certificate in PEM form", certfile=text)
    refused("text holds no private key in PEM form", certfile=certfile, keyfile=text)
    refused("text holds no certificate in PEM form", certfile=certfile, keyfile=keyfile, cafile=text)


def test_a_key_of_another_certificate(home):
    certfile, keyfile = make("a").write(home, "a")
    other, other_key = make("b").write(home, "b")
    refused(r"the key in .*b\.key does not belong to the certificate in .*a\.crt", certfile=certfile, keyfile=other_key)
    both = private_file(home / "both", other.read_text() + keyfile.read_text())
    refused("the private key beside it does not belong", certfile=both)


def test_dates(home):
    old, old_key = make(begin=NOW - 9 * DAY, end=NOW - 5 * DAY).write(home, "old")
    assert refused(rf"old\.crt expired on {NOW - 5 * DAY:%Y-%m-%d}", certfile=old, keyfile=old_key) == "renew it"
    new, new_key = make(begin=NOW + DAY, end=NOW + 2 * DAY).write(home, "new")
    assert "clock" in refused(r"new\.crt is not valid before", certfile=new, keyfile=new_key)


@posix
def test_a_key_that_others_can_read(home):
    made = make()
    certfile, keyfile = made.write(home, "a")
    keyfile.chmod(0o644)
    hint = refused(r"the key file .*a\.key can be read or written by others", certfile=certfile, keyfile=keyfile)
    assert hint == f"chmod 600 {keyfile}"
    both = private_file(home / "both", made.pem + made.key_pem())
    both.chmod(0o644)
    refused("the key file .*both can be read", certfile=both)


def test_a_key_under_a_passphrase_or_broken(home):
    made = make()
    certfile, keyfile = made.write(home, "a")
    private_file(keyfile, made.key_pem(b"x"))
    assert "openssl pkey" in refused("locked by a passphrase", certfile=certfile, keyfile=keyfile)
    lines = made.key_pem().splitlines()
    private_file(keyfile, "\n".join([lines[0], "AAAA", lines[-1]]))
    refused("private key in .*a.key cannot be read", certfile=certfile, keyfile=keyfile)
    certfile.write_text(certfile.read_text().replace("M", "N", 3))
    refused("certificate in .*a.crt cannot be read", certfile=certfile, keyfile=keyfile)
