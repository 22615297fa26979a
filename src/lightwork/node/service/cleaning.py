"""The end of a session on this node: cleanups, then workers and templates, then files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lightwork.node.service.nursery import Key, Nursery
from lightwork.node.service.sites import Site, Sites
from lightwork.wire.channel import CLEANUP, pack_frame

CLEANUP_S = 60.0


class Cleaner:
    """Waits for cleanups, each in the template where setup ran, or in a worker of its own."""

    def __init__(self, sites: Sites, nursery: Nursery, helper: Callable[[Site, int, bytes], None]) -> None:
        self._sites = sites
        self._nursery = nursery
        self._helper = helper  # runs frames in a fresh worker of a site
        self._waiting: dict[tuple[Key, int], asyncio.Future[dict[str, bytes]]] = {}
        self._stopped = False

    def stop(self) -> None:
        """Nobody is left who could run a cleanup."""
        self._stopped = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result({})

    def cleaned(self, key: Key, slot: int, failure: dict[str, bytes]) -> None:
        """A cleanup ran, or could not."""
        waiting = self._waiting.get((key, slot))
        if waiting is not None and not waiting.done():
            waiting.set_result(failure)

    async def clean(self, session: str) -> list[str]:
        """Remove all traces; what went wrong with the cleanups."""
        sites = self._sites.of_session(session)
        problems = [problem for site in sites if (problem := await self._tried(site))]
        for site in sites:
            self._nursery.drop(site.key)
        problems += await asyncio.get_running_loop().run_in_executor(None, self._sites.remove_session, session)
        self._sites.forget(session)
        return problems

    async def _tried(self, site: Site) -> str:
        try:
            return await self._cleanup(site)
        except Exception as error:  # noqa: BLE001  # no descriptors for its process, ...: the files go nevertheless
            return f"cleanup could not be run: {type(error).__name__}: {error}"

    async def _cleanup(self, site: Site) -> str:
        """Once per environment: its computations have the same cleanup."""
        if site.cleanup is None or self._stopped:
            return ""
        slot, computation = site.cleanup
        waiting = self._waiting[site.key, slot] = asyncio.get_running_loop().create_future()
        try:
            if not self._nursery.cleanup(site.key, slot):
                if computation.setup:
                    return ""  # it never ran, or each worker has cleaned up after itself
                frames = site.load_frame(slot, computation, False) + pack_frame(CLEANUP, b"", slot)
                self._helper(site, slot, frames)
            failure = await asyncio.wait_for(waiting, CLEANUP_S)
        except TimeoutError:
            return f"cleanup of {computation.name} took longer than {CLEANUP_S:g} s"
        finally:
            del self._waiting[site.key, slot]
        if not failure.get("message") and not failure.get("type"):
            return ""
        text = b": ".join(filter(None, (failure.get("type", b""), failure.get("message", b""))))
        return f"cleanup of {computation.name} failed: {text.decode(errors='replace')}"
