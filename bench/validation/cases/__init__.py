"""What is tried once of each rule that decides, on a simulated case whose truth is known."""

import numpy as np

MARGIN = 0.05
Draw = np.random.Generator
Tried = tuple[bool | None, bool | None]
"""By the rule as it was before, and as it is, of the same data; None where a rule has no answer."""
