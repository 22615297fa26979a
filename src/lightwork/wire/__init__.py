"""Bytes to typed messages and back. Law: no I/O, no clock; whoever has bytes brings them here.

`outcome`, `shared_file`, `channel` and `segments` are spoken by workers too: stdlib only, any Python from 3.8.
"""
