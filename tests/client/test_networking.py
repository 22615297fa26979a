"""The keywords about other machines: which machines follow from them, and which refusals."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.client.networking import Keywords, Network, listen_of, network_of
from lightwork.model.errors import UserError
from lightwork.security.secret import generate


def network(**told: Any) -> Network:
    return network_of(Keywords(**told))


def hosts(made: Network) -> list[str]:
    return [spec.host for spec in made.specs]


def test_nothing_said_is_this_machine_alone():
    made = network()
    assert made == Network()
    assert (made.local, made.specs, made.credential, made.listen, made.beyond) == (True, (), None, "", False)


def test_with_a_credential_the_network_is_looked_at_too(monkeypatch, tmp_path):
    secret = generate()
    file = tmp_path / "secret"
    file.write_text(secret)
    file.chmod(0o600)
    for told in ({"secret": secret}, {"secret_file": file}, {"secret_file": str(file)}):
        made = network(**told)
        assert (made.local, hosts(made), made.beyond, made.warning) == (True, ["*"], True, "")
        assert made.credential is not None
        assert made.credential.secrets == (secret,)
        assert secret not in repr(made)
    monkeypatch.setenv("LIGHTWORK_SECRET", secret)
    assert hosts(network()) == ["*"]


def test_nodes_are_those_and_no_others():
    made = network(nodes=["192.168.3.*", ("lab1", 9701, 2)], secret=generate())
    assert (made.local, hosts(made)) == (False, ["192.168.3.*", "lab1"])
    made = network(nodes=["lab1", "local"], secret=generate())
    assert (made.local, hosts(made)) == (True, ["lab1"])


def test_this_machine_and_paths_need_no_credential():
    assert network(nodes="local") == Network()
    made = network(nodes=["unix:/run/node.sock"])
    assert (made.local, hosts(made), made.credential, made.beyond) == (False, ["unix:/run/node.sock"], None, True)


def test_slots_of_this_machine():
    assert network(nodes=[("local", None, 1)]).slots == 1
    assert network(nodes=[("local", None, -1000)]).slots == 1
    assert network(nodes=[("local", None, 1)], slots=5).slots == 5
    wrong: Any
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(UserError, match="slots="):
            network(slots=wrong)


@pytest.mark.parametrize("told", [{"nodes": "lab1"}, {"nodes": ["local", "*"]}, {"listen": "*:9700"}])
def test_the_network_needs_a_credential(told, tmp_path):
    with pytest.raises(UserError) as caught:
        network(**told)
    for part in ("secret=", "LIGHTWORK_SECRET", str(tmp_path / "config"), "`lightwork secret --save`", "the other"):
        assert part in str(caught.value)


def test_a_phrase_is_for_this_machine():
    made = network(secret="super")
    assert (made.local, hosts(made)) == (True, [])
    for part in ("this machine only", "\nhint: ", "weak_secret=True", "`lightwork secret`"):
        assert part in made.warning
    assert hosts(network(secret="super", weak_secret=True)) == ["*"]
    assert network(secret="super", weak_secret=True).warning == ""


def test_a_phrase_beyond_this_machine_takes_consent():
    for told in ({"nodes": ["192.168.3.*"]}, {"nodes": ["lab1"]}, {"listen": "*"}):
        with pytest.raises(UserError, match="weak_secret=True"):
            network(secret="super", **told)
        network(secret="super", weak_secret=True, **told)
    made = network(secret="super", nodes=["localhost", "127.0.0.1:9702", "[::1]:9703"])
    assert len(hosts(made)) == 3
    assert "guess" in made.warning
    assert network(secret=generate(), nodes=["localhost", "lab1"]).warning == ""


def test_the_warning_is_said_once(capsys):
    network(secret="super").warn()
    Network().warn()
    assert capsys.readouterr().err.count("lightwork: warning:") == 1


@pytest.mark.parametrize(
    ("listen", "meant"),
    [
        (None, ""),
        ("*:9700", "*:9700"),
        ("*", "*:9700"),
        (":9800", "*:9800"),
        ("9800", "*:9800"),
        ("127.0.0.1", "127.0.0.1:9700"),
        ("lab1:0", "lab1:0"),
        ("::1", "[::1]:9700"),
        ("[::1]:9800", "[::1]:9800"),
    ],
)
def test_where_to_listen(listen, meant):
    assert listen_of(listen) == meant


@pytest.mark.parametrize("listen", ["", " ", "lab1:x", "lab1:70000", "192.168.3.*", "unix:/x", "http://a", 9700, b"a"])
def test_no_place_to_listen(listen):
    with pytest.raises(UserError, match="listen="):
        listen_of(listen)


def test_intervals():
    made = network(pulse_interval=0.5, ping_interval=10)
    assert (made.pulse_s, made.ask_s) == (0.5, 10.0)
    wrong: Any
    for wrong in (0, 0.05, 1001, -1, "1", True, float("nan")):
        with pytest.raises(UserError, match=r"0\.1 to 1000 seconds"):
            network(pulse_interval=wrong)
    for wrong in (0.5, 1001):
        with pytest.raises(UserError, match="1 to 1000 seconds"):
            network(ping_interval=wrong)


@pytest.mark.parametrize(
    "told",
    [
        {"secret": b"super"},
        {"secret": 5},
        {"secret_file": 5},
        {"certfile": b"x"},
        {"secret_file": "no/such/file"},
        {"secret": "a", "secret_file": "b"},
        {"keyfile": "key"},
        {"cafile": "ca"},
        {"certfile": "no/such/file"},
    ],
)
def test_credentials_that_are_none(told):
    with pytest.raises(UserError):
        network(**told)


def test_joining_nodes_alone() -> None:
    """No node is looked for, and this machine is not used either."""
    network = network_of(Keywords(nodes=[], listen="127.0.0.1:0", secret=generate()))
    assert (network.specs, network.local, network.listen) == ((), False, "127.0.0.1:0")
