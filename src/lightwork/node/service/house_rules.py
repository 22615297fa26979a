"""What the owner of a node has said about all that runs there."""

from __future__ import annotations

from msgspec import Struct

from lightwork.node.core.hours import Hours
from lightwork.node.service.job_user import JobUser

CACHE_BYTES = 16 << 30


class HouseRules(Struct, frozen=True, kw_only=True):
    """The command line of `lightwork node`, as far as it is neither about connections nor about slots."""

    groups: tuple[str, ...] = ()
    weight: int = 0
    resources: dict[str, int] = {}  # beside what is found
    gpus: tuple[str, ...] | None = None  # their names in variables such as CUDA_VISIBLE_DEVICES; None: those found
    hours: Hours | None = None
    clients: int = -1  # to be served, then it ends; -1: any number
    init: str = ""  # the file that is run once in each process that workers are forked from
    user: JobUser | None = None  # who jobs run as; None: as we do
    file_bytes: int = 0  # a larger file is neither taken nor sent; 0: any size
    cache_bytes: int = CACHE_BYTES  # of files, used and unused ones together; those in use stay all the same


USUAL = HouseRules()
