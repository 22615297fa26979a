"""The command `lightwork`, also as `python -m lightwork`."""

import sys


def main() -> int:
    """The exit status. Ctrl-C is told in a word even while the command is still being loaded."""
    try:
        from lightwork.cli.main import INTERRUPTED, main as command
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        return 130
    try:
        return command()
    except KeyboardInterrupt:  # a second one
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
