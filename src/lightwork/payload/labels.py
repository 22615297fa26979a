"""What users call their jobs, as a few bytes that outlive the program."""

from __future__ import annotations

import pickle
from typing import Any

LABEL_MAX = 4096  # bytes


def pack_label(value: Any) -> bytes:
    """For another life of the program; b"" for what cannot be sent, or is large: it is a name, and no payload."""
    try:
        data = pickle.dumps(value, 5)
    except Exception:  # noqa: BLE001  whatever a __reduce__ of the user's raises: then the job is called by its number
        return b""
    return data if len(data) <= LABEL_MAX else b""


def unpack_label(data: bytes, otherwise: Any) -> Any:
    """The name again; `otherwise` if there is none, or its class is not to be found in this program."""
    if not data:
        return otherwise
    try:
        return pickle.loads(data)
    except Exception:  # noqa: BLE001  a __setstate__ of the user's may raise anything
        return otherwise
