"""The article's lab, tried step by step: every statement of it gets a word and its evidence."""

from bench.walkthrough.walk import begin_walkthrough, walk

__all__ = ["begin_walkthrough", "walk"]
