"""What the jobs of `lightwork demo` compute. Plain functions that know nothing of Lightwork."""

from __future__ import annotations

import math

# The picture: a window on the Mandelbrot set's valley of the sea horses.
CENTRE = complex(-0.7453, 0.1127)
ACROSS = 0.0065
STEPS = 500


def divisors(n: int) -> tuple[int, list[int]]:
    """The divisors of `n` up to its square root, by trying them all."""
    found = []
    for i in range(2, int(math.sqrt(n)) + 1):
        if n % i == 0:
            found.append(i)
    return (n, found)


def mandelbrot_rows(first: int, last: int, width: int, height: int) -> bytes:
    """Rows `first` up to `last` of the picture, three bytes a pixel."""
    pixels = bytearray()
    scale = ACROSS / width
    for y in range(first, last):
        imaginary = CENTRE.imag + (height / 2 - y) * scale
        for x in range(width):
            pixels += _colour(_escape(complex(CENTRE.real + (x - width / 2) * scale, imaginary)))
    return bytes(pixels)


def _escape(c: complex) -> float:
    """After how many steps z*z + c runs away, with a fraction for smooth colours; 0 if it never does."""
    z = c
    for step in range(STEPS):
        z = z * z + c
        if abs(z) > 16.0:
            return step + 2 - math.log2(math.log(abs(z)))
    return 0.0


def _colour(escape: float) -> bytes:
    """Night blue through white and gold, going round slower the longer it took; black inside the set."""
    if not escape:
        return b"\x00\x00\x00"
    turn = 0.9 * math.log(max(escape, 1.0)) - 3.3
    return bytes(
        min(255, max(0, int(255 * (middle + swing * math.cos(math.tau * (turn + shift - 0.5))))))
        for (middle, swing, shift) in ((0.48, 0.50, 0.12), (0.46, 0.46, 0.03), (0.52, 0.44, -0.12))
    )
