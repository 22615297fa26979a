"""`lightwork secret`: what makes machines trust each other."""

from __future__ import annotations

import click

_EPILOG = """
\b
All machines need the same secret. Make it once, with --save, and on each of
the others type
    lightwork secret --read --save
and paste it; or copy the file, readable by you alone. Programs that run
already keep the secret with which they were started.
"""


@click.command(epilog=_EPILOG)
@click.option("--save", is_flag=True, help="Write it where nodes and clusters of this user find it.")
@click.option("--read", is_flag=True, help="Read the secret (a line of standard input) instead of making one.")
@click.option("--force", is_flag=True, help="Replace a secret that is saved already.")
def secret(save: bool, read: bool, force: bool) -> None:
    """Make a secret and print it."""
    from lightwork.cli import output
    from lightwork.model.errors import UserError
    from lightwork.security import secret as secrets_of

    if (read or force) and not save:
        raise UserError("--read and --force go with --save", hint="see `lightwork secret --help`")
    if save and not force:
        _check_free()
    text = _read() if read else secrets_of.generate()
    if save:
        output.say(f"saved in {secrets_of.save(text, replace=force)}")
    if not read:
        click.echo(text)
        if save:
            output.say("hint: on each other machine: `lightwork secret --read --save`, and paste this line")
        else:
            output.say("hint: `lightwork secret --save` keeps it where nodes and clusters find it")


def _check_free() -> None:
    """Before anybody pastes anything: is there none yet?"""
    import os

    from lightwork.model.errors import UserError
    from lightwork.security.secret import secret_path

    path = secret_path()
    if os.path.lexists(path):
        raise UserError(
            f"there is a secret already in {path}",
            hint="if it is the one of your other machines, all is well; to replace it: --force. To change it "
            "everywhere without a break: add the new one as its second line on all machines, then put it first",
        )


def _read() -> str:
    import sys

    from lightwork.model.errors import UserError

    if sys.stdin.isatty():
        import getpass

        text = getpass.getpass("secret (it does not show): ")
    else:
        text = sys.stdin.read()
    if not text.strip():
        raise UserError("no secret came from standard input", hint="paste the line that `lightwork secret` printed")
    return text
