"""A word that is none of those known, and the one that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(word: str, known: Iterable[str], before: str = "") -> str:
    """`; did you mean ...?` with the nearest of `known`, or nothing where none is near.

    `before`: what stands before all of them, and makes none of them nearer. Near is difflib's ratio of 0.6,
    or being the only one that begins with `word`: `p50`.
    """
    names = list(known)
    begun = [name for name in names if len(word) > 1 and name.startswith(word)]
    found = get_close_matches(word, names, n=1, cutoff=0.6) or (begun if len(begun) == 1 else [])
    return f"; did you mean {before}{found[0]}?" if found else ""
