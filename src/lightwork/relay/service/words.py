"""What a relay says of itself: with whom it is connected, whom it waits for, who comes and goes."""

from __future__ import annotations

from lightwork.config import timers
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.text import span
from lightwork.model.errors import AlreadyConnected, LightworkError, LinkBroken, NodeBusy, PeerError
from lightwork.transport.address import host_of
from lightwork.wire.messages import Hello

SUBJECT = "scheduler"


class Words:
    """Its log, in sentences. `scheduler`: its address, as the owner wrote it."""

    def __init__(self, log: OwnerLog, scheduler: str) -> None:
        self.log = log
        self.scheduler = scheduler
        self._why = "it was not dialled yet"
        self._silent = False
        self._goodbye = ""

    def why(self) -> str:
        """Which scheduler is not there, and why."""
        return f"the scheduler at {self.scheduler}: {self._why}"

    def connected(self, hello: Hello, address: str) -> None:
        """It is."""
        self.log.forget(SUBJECT)
        self.log.say(f"connected with scheduler {hello.name} at {address}")

    def goodbye(self, reason: str) -> None:
        """It is about to end the connection."""
        self._goodbye = reason

    def silent(self) -> None:
        """Nothing comes from it any more: we end the connection."""
        self._silent = True

    def lost(self, error: LightworkError | None) -> None:
        """The connection is."""
        said, self._goodbye = self._goodbye, ""
        why = str(error.args[0]) if error is not None and error.args else ""
        self._why = said or why or "it has ended the connection"
        if self._silent:
            self._silent, self._why = False, "nothing comes from it any more"
        lease = span(timers.RELAY_LEASE_S)
        which = f"the scheduler at {self.scheduler}"
        self.log.say(f"the connection with {which} is lost: {self._why}; nodes go on with what they have for {lease}")

    def failed(self, error: Exception) -> str:
        """It could not be had: as it is said."""
        hint = f" ({error.hint})" if isinstance(error, LightworkError) and error.hint else ""
        text = str(error.args[0]) if isinstance(error, LightworkError) and error.args else str(error)
        self._why = text
        again = span(timers.RETRY_S)
        line = f"waits for the scheduler: {text}{hint}; tried again every {again}, later less often"
        self.log.say(line, SUBJECT)
        return line

    def nonsense(self, error: LightworkError) -> None:
        """What came from it for a node was."""
        self.log.say(str(error.args[0] if error.args else error))

    def node_came(self, peer: Hello, address: str) -> None:
        """A node is there."""
        self.log.forget(address)
        self.log.say(f"node {peer.name} is there ({host_of(address) or address})", f"node {peer.name}")

    def node_went(self, peer: Hello, error: LightworkError | None) -> None:
        """It is not; what we ended ourselves is no news."""
        if error is not None:
            why = f": {error.args[0]}" if error.args else ""
            self.log.say(f"the connection with node {peer.name} is lost{why}", f"node {peer.name}")

    def not_reached(self, address: str, error: Exception, *, named: bool) -> None:
        """A node that we dialled; `named`: by our owner, else anybody may have told us of it."""
        where = address.removeprefix("tcp:")
        text = str(error.args[0]) if isinstance(error, LightworkError) and error.args else str(error)
        if isinstance(error, NodeBusy):
            text = f"the node at {where} is {text}"
        elif where not in text:
            text = f"the node at {where} cannot be had: {text}"
        hint = f" ({error.hint})" if isinstance(error, PeerError) and error.hint else ""
        self.log.say(f"{text}{hint}; it is dialled again and again", address, stranger=not named)

    def refused(self, address: str, error: LightworkError) -> None:
        """A stranger. (Who was told to wait has been told; who left without a word wants nothing.)"""
        if isinstance(error, AlreadyConnected | LinkBroken):
            return
        host, text = address.rpartition(":")[0], str(error.args[0] if error.args else error)
        if isinstance(error, PeerError) and host:
            text = text.replace(address, host)  # its port is another each time
        who = host or "somebody on this machine"
        self.log.say(f"{who} was turned away: {text}", who, stranger=True)

    def cannot_keep(self, digest: str) -> None:
        """A file; nodes get it from the scheduler, each for itself."""
        self.log.say(f"file {digest} cannot be kept here: it crosses the link for each node that wants it", "store")
