"""The scenario `quick`, asked of a service of a person's own."""

import re
from collections.abc import Mapping
from typing import Any

from bench.scenario.parsing import validate
from bench.scenario.scenario import Scenario

LIFE_S, WARM_UP_S = 2.0, 0.2
"""In place of quick's own, which are Apache's: 1,000 requests of a window, and 100 of a warm-up, are then had
of any service that answers in 1.5 ms."""


def ask_service(
    quick: Scenario, service: Mapping[str, Any], request: Mapping[str, Any], life_s: float | None = None
) -> Scenario:
    """`quick` with the tables [service] and [[requests]], of one request, that are given.

    `life_s`: of load for each container. Raises InputError where the tables are wrong.
    """
    called = str(service.get("image") or service.get("archive") or service.get("build"))
    slug = re.sub(r"[^a-z0-9]+", "-", called.rpartition("/")[2].lower()).strip("-")
    asked = quick.model_dump(mode="json", exclude={"service", "requests"})
    life_s = life_s or LIFE_S
    asked["schedule"]["interleave"]["life_s"] = life_s
    asked["load"]["warm_up_s"] = max(WARM_UP_S, life_s / 10)
    asked |= {
        "name": f"quick-{slug}"[:40].rstrip("-"),
        "question": f"What does Docker's default bridge cost {called}, against the host's network stack?"[
            :500
        ],
        "service": dict(service),
        "requests": [dict(request)],
    }
    return validate(Scenario, asked, f"Asking {quick.name} of {called}")
