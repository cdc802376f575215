"""Strike at runs while they go on, and look at what is left: whatever does not hold then is a failure.

    python -m tests.chaos [--count 100] [--minutes 600] [--seed 1] [--only VICTIM]

Each case has a seed of its own, which is printed with a failure: `--seed SEED --count 1` strikes again.
Needs root, as every lab does; waits while somebody else's run has the machine.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from .cases import VICTIMS, Case, draw, play
from .persons_docker import PersonsDocker, persons_docker

Counted = Counter[tuple[Case, str]]


def main() -> None:
    """Play the cases, print what became of them, and end with 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=VICTIMS)
    given = parser.parse_args()
    with persons_docker() as person:
        done, failures = strike(person, given.seed, given.count, given.minutes * 60, given.only)
    for title in ("victim", "moment", "signals", "scenario"):
        print(f"\n{title}")
        for name in sorted({getattr(case, title) for case, _ in done}):
            outcomes: Counter[str] = Counter()
            for (case, outcome), number in sorted(done.items(), key=lambda item: item[0][1]):
                if getattr(case, title) == name:
                    outcomes[outcome] += number
            print(f"  {name:<16} {sum(outcomes.values()):>4}  {dict(outcomes)}")
    print(f"\n{sum(done.values()):,} cases from seed {given.seed}, {len(failures)} failures")
    sys.exit(bool(failures))


def strike(
    person: PersonsDocker, seed: int, count: int, seconds: float, only: str | None = None
) -> tuple[Counted, list[str]]:
    """Play `count` cases, or as many as there is time for: (case, outcome) -> how many; and what failed.

    A case whose victim is not `only` is left out, so that a seed means the same with and without it.
    """
    done: Counted = Counter()
    failures: list[str] = []
    until_s = time.monotonic() + seconds
    number = seed
    while sum(done.values()) < count and time.monotonic() < until_s:
        case = draw(number)
        number += 1
        if only and case.victim != only:
            continue
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bench-chaos-") as folder:
            try:
                with person.is_left_alone():
                    outcome = play(case, Path(folder))
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for.
                outcome = "FAILURE"
                failures.append(f"{case}:\n{traceback.format_exc(limit=-3)}")
        done[case, outcome] += 1
        took_s = time.monotonic() - begun
        print(f"{case}: {outcome} ({took_s:.0f} s)", file=sys.stderr, flush=True)
        if outcome == "FAILURE":
            print(failures[-1], file=sys.stderr, flush=True)
    return done, failures


if __name__ == "__main__":
    main()
