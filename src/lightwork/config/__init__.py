"""Numbers and places: timers, limits, directories. Law: constants and pure look-ups, no state."""
