"""The credentials of `lightwork scheduler`: one for everybody, or one for nodes and one for clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightwork.model.errors import UserError

if TYPE_CHECKING:
    from lightwork.security.credential import Credential

FILES = ("secret_file", "certfile", "keyfile", "cafile")
NODE, CLUSTER = "node", "cluster"


def of(options: Any) -> tuple[Credential | None, Credential | None]:
    """That of nodes, and that of clients; the second is None if one serves for both. UserError: they do not fit.

    If only one of the two is named, the other is the one that is found without options.
    """
    from lightwork.security.credential import find

    common = {name: getattr(options, name) for name in FILES}
    own = {kind: {name: getattr(options, f"{kind}_{name}") for name in FILES} for kind in (NODE, CLUSTER)}
    named = [kind for kind in own if any(own[kind].values())]
    if not named:
        return find(**common), None
    if len(named) == 2 and any(common.values()):
        raise UserError(
            "a credential for nodes, one for clients, and one for both are one too many",
            hint="leave out --secret-file, or --certfile",
        )
    found = {kind: find(**(own[kind] if kind in named else common)) for kind in own}
    for kind, credential in found.items():
        if credential is None:
            whom, other = ("nodes", CLUSTER) if kind == NODE else ("clients", NODE)
            raise UserError(
                f"there is a {other} credential, and none for {whom}",
                hint=f"--{kind}-secret-file FILE names it, or `lightwork secret --save` makes one",
            )
    return found[NODE], found[CLUSTER]
