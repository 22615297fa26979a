"""What `lightwork explain` does."""

from __future__ import annotations

import re

from lightwork.cli.report import printable
from lightwork.cli.watching import Where, one, show_json
from lightwork.model.errors import UserError

_JOB = re.compile(r"(.+)/(\d{1,18})")


def run(where: Where, job: str) -> int:
    """The exit status."""
    found = _JOB.fullmatch(job)
    if found is None:
        raise UserError(f"{job} names no job", hint="write SESSION/NUMBER, as `lightwork jobs` shows them")
    session, number = found[1], int(found[2])
    with one(where, session) as watcher:
        lines = watcher.why(session, number)
        place = {"address": watcher.address, "name": watcher.name}
    if where.as_json:
        show_json(place | {"session": session, "number": number, "lines": lines})
    else:
        print("\n".join(map(printable, lines)))
    return 0
