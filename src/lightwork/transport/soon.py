"""Names to addresses, and addresses to a connected socket, on a loop (see lookup.py and race.py for both)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from lightwork.kit import tasks
from lightwork.transport import lookup, reach
from lightwork.transport.lookup import Address
from lightwork.transport.race import STAGGER_S


async def resolve_soon(host: str, port: int, timeout: float) -> list[Address]:
    """`resolve` on a loop."""
    found = lookup.numeric(host, port)
    if found is not None:
        return found
    try:
        return lookup.in_order(await asyncio.wait_for(asyncio.wrap_future(lookup.ask(host, port)), max(0.0, timeout)))
    except TimeoutError:
        raise reach.slow_lookup(host) from None
    except (OSError, UnicodeError) as error:
        raise reach.no_such_host(host, error) from None


async def connect_soon(where: str, addresses: Sequence[Address], timeout: float) -> socket.socket:
    """On a loop; Unreachable says what each address answered."""
    failures: list[tuple[str, OSError]] = []
    waiting = list(addresses)
    running: dict[asyncio.Task[socket.socket | OSError], Address] = {}
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    try:
        while running or waiting:
            if waiting:
                address = waiting.pop(0)
                running[tasks.spawn(_attempt(address), f"connect to {where}")] = address
            left = max(0.0, end - loop.time())
            patience = min(STAGGER_S, left) if waiting else left
            done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                result = task.result()
                if isinstance(result, socket.socket):
                    del running[task]
                    return result
                failures.append((running.pop(task).number, result))
            if loop.time() >= end:
                break
    finally:
        for task in running:
            task.add_done_callback(_close)
            task.cancel()
    silent = [(address.number, TimeoutError()) for address in (*running.values(), *waiting)]
    raise reach.unreachable(where, [*failures, *silent])


async def _attempt(address: Address) -> socket.socket | OSError:
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:  # a machine without this family
        return error
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
        return sock
    except OSError as error:
        sock.close()
        return error
    except BaseException:
        sock.close()
        raise


def _close(task: asyncio.Task[socket.socket | OSError]) -> None:
    if not task.cancelled():
        result = task.result()
        if isinstance(result, socket.socket):  # it was second
            result.close()
