"""Looks in vain: how a loop waits for what is microseconds away, and what of it was no work."""

LONGEST_LOOK_NS = 5_000
"""A look in vain takes 1 us. One that took longer was interrupted: the core worked, for us or for others."""


def count_look(begun_ns: int, ended_ns: int) -> int:
    """What of a look in vain was no work, in ns: all of it, or nothing where it was interrupted."""
    return ended_ns - begun_ns if ended_ns - begun_ns < LONGEST_LOOK_NS else 0
