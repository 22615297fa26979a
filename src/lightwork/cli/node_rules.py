"""What the owner of a node says about all that runs there: the options, read, and written again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from lightwork.cli import starting
from lightwork.model.errors import UserError

if TYPE_CHECKING:
    from lightwork.cli.node_command import Options
    from lightwork.node.service.house_rules import HouseRules

TEXTS = ("service_start", "service_stop", "service_end", "job_user", "max_file_size", "cache_quota")


def rules(options: Options) -> HouseRules:
    """As the node knows them. UserError."""
    from lightwork.node.core.hours import hours_of
    from lightwork.node.service.gpus import names_of
    from lightwork.node.service.house_rules import CACHE_BYTES, HouseRules
    from lightwork.node.service.job_user import find_user

    now = time.localtime()
    second = now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec
    resources = _resources(options.resources)
    gpus = resources.pop("gpu", None)
    return HouseRules(
        groups=options.groups,
        weight=options.weight,
        resources=resources,
        gpus=None if gpus is None else names_of(gpus)[:gpus],
        hours=hours_of(options.service_start or "", options.service_stop or "", options.service_end or "", second),
        clients=-1 if options.serve is None else options.serve,
        init=_file(options.init) if options.init else "",
        user=find_user(options.job_user) if options.job_user else None,
        file_bytes=size(options.max_file_size, "--max-file-size") if options.max_file_size else 0,
        cache_bytes=size(options.cache_quota, "--cache-quota") if options.cache_quota else CACHE_BYTES,
    )


def check(options: Options) -> None:
    """What can be told at once. UserError."""
    if options.serve == 0 and not options.clean:
        raise UserError(
            "--serve 0: no client at all?", hint="--serve 0 --clean only cleans up; leave it out to serve all"
        )
    if any(not group or "," in group for group in options.groups):
        raise UserError("--group: a group needs a name without commas", hint="--group gpu --group room-2")
    rules(options)


def words(options: Options) -> list[str]:
    """The same options again, as another process in another directory may be given them."""
    return [
        *starting.each("--resource", options.resources),
        *starting.each("--group", options.groups),
        *(["--weight", str(options.weight)] if options.weight else []),
        *(["--serve", str(options.serve)] if options.serve is not None else []),
        *(["--init", _file(options.init)] if options.init else []),
        *starting.values(options, TEXTS),
        *starting.flags(options, ("clean",)),
    ]


def size(text: str, option: str, *, least: int = 1) -> int:
    """`2G` in bytes. UserError."""
    from lightwork.model.where_words import number_of

    found = number_of(text)
    if found is None or found != int(found) or found < least:
        raise UserError(f"{option} {text}: that is no size", hint="a number of bytes, or such as 500M or 8G")
    return int(found)


def _resources(given: tuple[str, ...]) -> dict[str, int]:
    from lightwork.model.resources import assigned

    none = {
        word for word in given if word.replace(" ", "") in ("gpu=0", "gpus=0")
    }  # those that are here are not for jobs
    found = assigned([word for word in given if word not in none])
    if "cpus" in found:
        raise UserError("--resource cpus: a node has as many as slots", hint="--slots says how many")
    return found | ({"gpu": 0} if none else {})


def _file(path: str) -> str:
    full = starting.absolute(path)
    if not os.path.isfile(full):
        raise UserError(f"--init {path}: there is no such file", hint="it is a Python file on this machine")
    return full
