"""A private scheduler and this machine's node, as child processes of a client. Law: it puts programs together, no more.

hosted (the default)                      apart
client ═ unix socket ═ this process       client ═ unix socket ═ this process (scheduler)
                       ├ scheduler                               ║ unix socket
                       ├ memory link                             agent process: `python -m lightwork.local agent`
                       └ agent ─ keeper                          └ keeper
"""
