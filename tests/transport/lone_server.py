"""An encrypted listener in a process of its own: `python -m tests.transport.lone_server LOOP [DESCRIPTORS]`.

The secret is in LIGHTWORK_SECRET. Prints its address; answers AskStatus with the number of refusals of each kind, as
JSON in the body; ends with its standard input.
"""

import asyncio
import collections
import json
import sys

from lightwork.security.credential import find
from lightwork.transport import endpoint
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.transport.tls import Encryption
from lightwork.wire.messages import AskStatus
from tests.transport.links import SCHEDULER, _factory


class Answering(Receiver):
    def __init__(self) -> None:
        self.refused: collections.Counter[str] = collections.Counter()

    def link_refused(self, address, error) -> None:
        self.refused[type(error).__name__] += 1

    def received(self, link: Link, batch: Batch) -> None:
        for message, _ in batch:
            if type(message) is AskStatus:
                link.send(message, json.dumps(self.refused).encode())


async def main() -> None:
    credential = find()
    assert credential is not None
    listener = await endpoint.listen("tcp:127.0.0.1:0", Answering(), SCHEDULER, encryption=Encryption(credential))
    reading = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    await asyncio.sleep(0)
    if len(sys.argv) > 2:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
    print(listener.address, flush=True)
    await reading
    listener.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_factory(sys.argv[1])) as runner:
        runner.run(main())
