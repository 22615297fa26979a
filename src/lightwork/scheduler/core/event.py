"""The base of all that the scheduler's core is told."""

from __future__ import annotations

from msgspec import Struct


class Event(Struct):
    """Base of all events."""
