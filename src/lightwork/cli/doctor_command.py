"""What `lightwork doctor` does."""

from __future__ import annotations

import os
from pathlib import Path

from lightwork.cli import output
from lightwork.cli.watching import show_json
from lightwork.kit.text import count
from lightwork.model.errors import ClusterError, UserError
from lightwork.store.salvage import Report, salvage

FORGOTTEN = (
    "what they told of is forgotten: jobs that were submitted there must be submitted again, and those that started or "
    "ended there start again, with reentrant=False too"
)


def run(directory: str, *, as_json: bool) -> int:
    """The exit status."""
    path = Path(os.path.abspath(os.path.expanduser(directory)))
    if not path.is_dir():
        raise UserError(f"there is no directory {path}", hint="name the scheduler's state directory")
    try:
        report = salvage(path)
    except OSError as error:
        raise ClusterError(f"cannot mend {path}: {error.strerror or error}") from None
    if as_json:
        show_json(_document(path, report))
    else:
        _tell(path, report)
    return 0


def _document(path: Path, report: Report) -> dict[str, object]:
    return {
        "directory": str(path),
        "damaged": bool(report.first_bad),
        "kept_records": report.kept,
        "lost_records": report.lost,
        "first_bad_record": report.first_bad or None,
        "reason": report.reason,
        "put_aside": str(report.aside) if report.aside is not None else None,
    }


def _tell(path: Path, report: Report) -> None:
    if not report.first_bad:
        print(f"the journal in {path} is in order: {count(report.kept, 'record')}; nothing was changed")
        return
    print(f"damaged: {report.reason}")
    print(f"kept: {count(report.kept, 'record')}, all up to the damaged one")
    print(f"lost: {count(report.lost, 'record')} from number {report.first_bad:,} on")
    print(f"the damaged files are in {report.aside}")
    if report.lost:
        output.warning(FORGOTTEN)
    output.say("hint: start the scheduler again; when all is well, the damaged files can be deleted")
