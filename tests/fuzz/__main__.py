"""Feed changed input to all that reads any, and count the outcomes; anything but an outcome is a failure.

    python -m tests.fuzz [--count 10000] [--minutes 60] [--seed 1] [--only TARGET]

Each case has a seed of its own, which is printed with a failure: `--seed SEED --count 1` makes it again.
"""

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from .targets import Fuzz


def main() -> None:
    """Run the cases, print a line a target, and end with 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-fuzz-") as folder:
        done, took_s, failures = feed(Path(folder), given.seed, given.count, given.minutes * 60, given.only)
    for target in sorted(took_s):
        outcomes = {outcome: number for (name, outcome), number in sorted(done.items()) if name == target}
        cases = sum(outcomes.values())
        print(f"{target:<18} {cases:>7,} of {took_s[target] / cases * 1e3:>6.1f} ms  {outcomes}")
    print(f"{sum(done.values()):,} cases from seed {given.seed}, {len(failures)} failures")
    for failure in failures[:20]:
        print(failure)
    sys.exit(bool(failures))


def feed(
    folder: Path, seed: int, count: int, seconds: float = 3600.0, only: str | None = None
) -> tuple[Counter[tuple[str, str]], dict[str, float], list[str]]:
    """Feed `count` cases, or as many as there is time for.

    Returns (target, outcome) -> how many; target -> s of a core that its cases took; and what failed.
    """
    targets = Fuzz(folder).targets()
    names = [only] if only else list(targets)
    done: Counter[tuple[str, str]] = Counter()
    took_s: dict[str, float] = {}
    failures = []
    until_s = time.monotonic() + seconds
    for number in range(seed, seed + count):
        if time.monotonic() > until_s:
            break
        dice = random.Random(number)
        [name] = dice.choices(names, [targets[each][1] for each in names])
        began_s = time.process_time()
        try:
            done[name, targets[name][0](dice)] += 1
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for.
            done[name, "failure"] += 1
            failures.append(f"seed {number}, {name}:\n{traceback.format_exc(limit=-4)}")
        took_s[name] = took_s.get(name, 0.0) + time.process_time() - began_s
    return done, took_s, failures


if __name__ == "__main__":
    main()
