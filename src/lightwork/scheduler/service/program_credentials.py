"""What a scheduler program proves itself with: one credential for everybody, or one for nodes and one for clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lightwork.model.errors import UserError
from lightwork.scheduler.service.program_options import ProgramOptions, Report
from lightwork.security.credential import Credential, check_reach
from lightwork.security.secret import NONE_YET

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption


class Ciphers(NamedTuple):
    """None: no network comes into play."""

    listening: Encryption | None = None
    dialling: Encryption | None = None  # nodes, always by their credential


def check(options: ProgramOptions, addresses: list[str], public: str, report: Report) -> None:
    """Whether `public` may be listened at, and the others dialled. UserError: not with what there is."""
    given = [one for one in (options.credential, options.clients) if one is not None]
    for address in addresses:
        what = "listens on" if address == public else "dials nodes over"
        if not given:
            raise UserError(f"a scheduler {what} the network only with a secret, and there is none", hint=NONE_YET)
        for credential in given if address == public else given[:1]:
            if warning := check_reach(credential, address, options.weak_secret):
                report.hint(warning)


def made(nodes: Credential | None, clients: Credential | None) -> Ciphers:
    """Certificates cost time. UserError: the two cannot be told apart."""
    if nodes is None:
        return Ciphers()
    from lightwork.transport.tls import Encryption

    dialling = Encryption(nodes)
    if clients is None:
        return Ciphers(dialling, dialling)
    from lightwork.transport.tls_roles import TwoCredentials

    return Ciphers(TwoCredentials(nodes, clients), dialling)
