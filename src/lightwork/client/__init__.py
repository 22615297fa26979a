"""The library in the user's process: submits jobs, hands back results.

Law: threads and no asyncio; `core` decides and does no I/O; sockets are transport's, pickles are payload's.
"""
