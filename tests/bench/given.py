"""Numbers on the command line: refused with one line where they make no sense."""

import argparse


def count(text: str) -> int:
    """A whole number from 1 on.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10**7:
        raise argparse.ArgumentTypeError(f"{text}: write a whole number from 1 to 10000000")
    return int(text)


def amount(text: str) -> float:
    """A number above 0.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1e6:
        raise argparse.ArgumentTypeError(f"{text}: write a number above 0, at most 1000000")
    return number
