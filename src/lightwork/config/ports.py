"""Where programs listen unless told otherwise. A taken port means the next free one, and that is said."""

from __future__ import annotations

SCHEDULER = 9700
NODE = 9701
RELAY = 9702
DISCOVERY = 9700  # UDP
TRIED = 100  # ports from the default one upward
