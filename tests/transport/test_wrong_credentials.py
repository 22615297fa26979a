"""Credentials that do not fit: both sides are told which, where it is from and what to do."""

import itertools
import time

import pytest

from lightwork.model.errors import LightworkError, WrongCredential
from lightwork.security import secret
from lightwork.security.credential import Credential
from lightwork.transport import endpoint
from lightwork.transport.tls import Encryption
from tests.security.certificates import DAY, NOW, Made, authority, make
from tests.transport.links import SCHEDULER, Recorder, connected, encryption, run, until

each_way = pytest.mark.parametrize("way", ["asyncio", pytest.param("uvloop", marks=pytest.mark.slow), "thread"])


def meeting(way: str, ours: Encryption, theirs: Encryption) -> tuple[LightworkError | None, LightworkError | None]:
    """What dialler and listener are told; None: they meet."""
    server = Recorder()
    found: list[LightworkError | None] = []

    async def work():
        listener = await endpoint.listen("tcp:127.0.0.1:0", server, SCHEDULER, encryption=theirs)
        began = time.monotonic()
        try:
            link = await connected(way, listener.address, ours)
            found.append(None)
            await until(lambda: server.links)
            link.abort()
        except LightworkError as error:
            found.append(error)
            assert f"{listener.address.removeprefix('tcp:')} " in str(error) or "that our cert" in str(error)
            await until(lambda: server.refused)
        assert time.monotonic() - began < 5
        listener.close()

    run("asyncio" if way == "thread" else way, work)
    assert bool(server.links) == (found[0] is None)
    return found[0], server.refused[0] if server.refused else None


def by_secrets(origin: str, *secrets: str) -> Encryption:
    return Encryption(Credential(secrets=secrets, origin=origin))


@each_way
def test_another_secret(way):
    told = meeting(way, encryption(), encryption("theirs"))
    for error, origin in zip(told, ("the secret of ours", "the secret of theirs")):
        assert type(error) is WrongCredential
        assert f"holds another secret than this one (from {origin})" in str(error)
        assert "127.0.0.1:" in str(error) and error.hint


@each_way
def test_a_phrase_and_a_generated_secret(way):
    made = secret.generate()
    assert meeting(way, by_secrets("a", "lab"), by_secrets("b", "lab")) == (None, None)
    assert meeting(way, by_secrets("a", made), by_secrets("b", made)) == (None, None)
    told = meeting(way, by_secrets("a", "lab"), by_secrets("b", made))
    assert all(type(error) is WrongCredential for error in told)


@each_way
def test_rotation(way):
    """The new secret is added everywhere, then put first everywhere, then the old one is taken away."""
    old, new = secret.generate(), secret.generate()
    steps = [(old,), (old, new), (new, old), (new,)]
    for before, after in itertools.pairwise(steps):
        for dialler, listener in ((before, after), (after, before), (after, after)):
            assert meeting(way, by_secrets("a", *dialler), by_secrets("b", *listener)) == (None, None)
    for dialler, listener in (((new, old), (old,)), ((old,), (new, old)), ((old,), (new,))):  # a step was left out
        told = meeting(way, by_secrets("a", *dialler), by_secrets("b", *listener))
        assert all("holds another secret than this one" in str(error) for error in told)
        assert "(from a)" in str(told[0]) and "(from b)" in str(told[1])


def own(made: Made, authorities: str, origin: str) -> Encryption:
    return Encryption(Credential(certificate=made.chain, key=made.key_pem(), authorities=authorities, origin=origin))


@each_way
def test_own_certificates(way):
    lab, alone = authority(), make("alone")
    one, two = own(make("one", lab), lab.pem, "one.crt"), own(make("two", lab, kind="rsa"), lab.pem, "two.crt")
    same = own(alone, alone.pem, "alone.crt")
    assert meeting(way, one, two) == (None, None)
    assert meeting(way, same, own(alone, alone.pem, "copy.crt")) == (None, None)  # dispy's way: one pair for all
    between = make("between", lab, authority=True, uses=())
    deep = own(make("deep", between), lab.pem, "deep.crt")
    assert meeting(way, deep, one) == (None, None)
    leafs = make("single", lab)
    pinned = own(leafs, leafs.pem, "single.crt")
    assert meeting(way, pinned, pinned) == (None, None)  # no authority at hand: this very certificate


@each_way
def test_certificates_of_another_cluster(way):
    lab, other = authority("lab"), authority("other")
    ours, theirs = own(make("a", lab), lab.pem, "a.crt"), own(make("b", other), other.pem, "b.crt")
    for told in (meeting(way, ours, theirs), meeting(way, theirs, ours)):
        assert all(type(error) is WrongCredential for error in told)
        assert all("a certificate of another cluster than ours" in str(error) for error in told)
    told = meeting(way, own(make("a", lab), lab.pem + other.pem, "a.crt"), theirs)  # one side would accept
    assert "does not accept ours" in str(told[0])
    assert "(from b.crt)" in str(told[1])
    assert all("cafile" in error.hint for error in told if error)


@each_way
@pytest.mark.parametrize("who", ["dialler", "listener"])
def test_expired_and_not_yet_valid(way, who):
    lab = authority()
    good = own(make("good", lab), lab.pem, "good.crt")
    for begin, end, sees, hears in (
        (NOW - 9 * DAY, NOW - DAY, "has expired", r"has expired"),
        (NOW + DAY, NOW + 2 * DAY, "is not yet valid", "does not accept ours"),
    ):
        bad = own(make("bad", lab, begin=begin, end=end), lab.pem, "bad.crt")
        ours, theirs = (bad, good) if who == "dialler" else (good, bad)
        told = meeting(way, ours, theirs)
        good_side, bad_side = told if who == "listener" else told[::-1]
        assert "the certificate of 127.0.0.1:" in str(good_side) and sees in str(good_side)
        assert hears in str(bad_side) and "bad.crt" in str(bad_side)
        assert "clock" in str(good_side)


@each_way
def test_certificates_for_another_use(way):
    from cryptography.x509.oid import ExtendedKeyUsageOID as Use

    lab = authority()
    good, servers = own(make("a", lab), lab.pem, "a"), own(make("b", lab, uses=(Use.SERVER_AUTH,)), lab.pem, "b")
    assert meeting(way, good, servers) == (None, None)
    told = meeting(way, servers, good)
    assert all("is not for this use" in str(error) and "clientAuth" in str(error) for error in told)


def test_secret_against_certificate():
    lab = authority()
    told = meeting("asyncio", encryption(), own(make("a", lab), lab.pem, "a.crt"))
    assert "holds another secret" in str(told[0])
    assert "certificate of another cluster" in str(told[1])
