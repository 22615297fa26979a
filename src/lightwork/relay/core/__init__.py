"""The relay's state machine. Law: no clock, socket, loop, process or log; a table changes only itself.

events --> core.Core --+--> lines   the scheduler's link, the nodes', and which of them have a channel
                       +--> shelf   files that are here, or come; who waits for them; which one goes when room is short
commands <-------------+
"""
