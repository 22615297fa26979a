"""One listener, two credentials: who may come in as what, and what both sides read."""

from __future__ import annotations

import pytest

from lightwork.model.errors import WrongCredential
from lightwork.security import secret
from lightwork.security.credential import Credential
from lightwork.transport.tls import Encryption
from lightwork.transport.tls_roles import TwoCredentials
from tests.security.certificates import authority, make
from tests.transport.roles import CLUSTER, NODE_SECRET, NODES, ROLES, by_secret, meeting, own

each_way = pytest.mark.parametrize("way", ["asyncio", "thread"])


@each_way
@pytest.mark.parametrize("role", ROLES)
def test_each_role_comes_in_by_its_credential(way: str, role: str) -> None:
    met = meeting(way, role, Encryption(ROLES[role]))
    assert met.error is None
    assert [link.peer.role for link in met.server.links] == [role]
    assert met.server.refused == []


@each_way
@pytest.mark.parametrize("role", ROLES)
def test_by_the_other_credential_nobody_does_and_both_read_why(way: str, role: str) -> None:
    given = CLUSTER if ROLES[role] is NODES else NODES
    wanted, shown = ("node", "cluster") if given is CLUSTER else ("cluster", "node")
    met = meeting(way, role, Encryption(given))
    assert met.server.links == []
    sentence = f"a {role} needs the {wanted} credential of this scheduler, and what it shows is the {shown} credential"
    assert type(met.error) is WrongCredential
    assert sentence in str(met.error)
    assert f"(ours is from {given.origin})" in str(met.error)
    assert [type(error) for error in met.refused] == [WrongCredential]
    assert sentence in str(met.refused[0])
    for error in (met.error, met.refused[0]):
        assert f"--{wanted}-secret-file" in error.hint
        assert "LIGHTWORK_SECRET" in error.hint
        assert "`lightwork secret --read --save --force`" in error.hint


@each_way
def test_a_third_secret_is_another_secret(way: str) -> None:
    met = meeting(way, "node", Encryption(by_secret(secret.generate(), "mine")))
    assert "holds another secret than this one (from mine)" in str(met.error)
    assert [str(error).partition(" ")[2].partition("\n")[0] for error in met.refused] == [
        "holds another secret than this one (from nodes.secret and cluster.secret)"
    ]
    assert met.server.links == []


@each_way
def test_one_credential_for_all_is_as_it_was(way: str) -> None:
    for role in ROLES:
        assert meeting(way, role, Encryption(NODES), Encryption(NODES)).error is None


def test_secrets_are_changed_one_side_at_a_time() -> None:
    new = secret.generate()
    changing = TwoCredentials(Credential(secrets=(new, NODE_SECRET), origin="nodes.secret"), CLUSTER)
    both = Credential(secrets=(NODE_SECRET, new), origin="x")
    assert meeting("asyncio", "node", Encryption(both), changing).error is None
    assert meeting("asyncio", "client", Encryption(CLUSTER), changing).error is None
    assert "needs the cluster credential" in str(meeting("asyncio", "client", Encryption(both), changing).error)


# --- own certificates ---


def test_certificates_of_two_authorities() -> None:
    fleet, users = authority("fleet"), authority("users")
    both = TwoCredentials(own(make("s", fleet), fleet.pem, "n.pem"), own(make("s", users), users.pem, "c.pem"))
    node, client = own(make("a", fleet), fleet.pem, "a.pem"), own(make("b", users, kind="rsa"), users.pem, "b.pem")
    assert meeting("asyncio", "node", Encryption(node), both).error is None
    assert meeting("asyncio", "client", Encryption(client), both).error is None
    assert "a node needs the node credential" in str(meeting("asyncio", "node", Encryption(client), both).error)
    assert "a client needs the cluster credential" in str(meeting("asyncio", "client", Encryption(node), both).error)


def test_a_secret_for_clients_and_certificates_for_nodes() -> None:
    fleet = authority("fleet")
    both = TwoCredentials(own(make("s", fleet), fleet.pem, "n.pem"), CLUSTER)
    node = own(make("a", fleet), fleet.pem, "a.pem")
    assert meeting("asyncio", "node", Encryption(node), both).error is None
    assert meeting("asyncio", "client", Encryption(CLUSTER), both).error is None
    assert "a node needs the node credential" in str(meeting("asyncio", "node", Encryption(CLUSTER), both).error)
