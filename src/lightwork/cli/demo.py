"""`lightwork demo` as a shell sees it; what it does is in `demo_tour`."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.option("--picture", type=_FILE, default="lightwork-demo.png", metavar="FILE", help="Where to draw to.")
@click.option("--jobs", type=click.IntRange(1), default=2000, show_default=True, help="Numbers to find divisors of.")
@click.option("--programs", type=click.IntRange(1), default=200, show_default=True, help="Runs of the program.")
@click.option(
    "--width", type=click.IntRange(8, 8192), default=960, show_default=True, help="Of the picture, in points."
)
def demo(picture: Path, jobs: int, programs: int, width: int) -> None:
    """Show on this machine what Lightwork does: a function, a program and a picture, in under a minute."""
    from lightwork.cli import demo_tour

    demo_tour.tour(picture, demo_tour.Sizes(jobs, programs, width))
