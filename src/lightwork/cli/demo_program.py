"""A standalone program for `lightwork demo`: the number below LIMIT, from START on, with the longest Collatz walk to 1.

usage: python demo_program.py START LIMIT
"""

import sys


def walk(number: int) -> int:
    """How many steps it takes: halve what is even, triple what is odd and add one."""
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


def longest(start: int, limit: int) -> "tuple[int, int]":
    """Its steps, and the smallest number that takes so many."""
    return max((walk(number), -number) for number in range(start, limit))


if __name__ == "__main__":
    steps, negative = longest(int(sys.argv[1]), int(sys.argv[2]))
    print(steps, -negative)
