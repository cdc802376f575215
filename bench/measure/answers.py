"""Whole answers of a living server, held against what its requests expect: before its load, and after."""

from bench.errors import MeasurementInvalid
from bench.measure.deployment import Deployment
from bench.measure.testbed import Bed
from bench.slots.answers import AnswerRecord, find_fault, record_answer


def verify_answers(bed: Bed, deployment: Deployment, when: str) -> tuple[AnswerRecord, ...]:
    """What each request of a service of a person's own is answered with; nothing of the built-in one.

    `when`: `before its load`, for a person. Raises MeasurementInvalid where an answer is not as expected.
    """
    found = []
    for request, ask in zip(bed.scenario.asked, bed.asked, strict=True):
        fetched = bed.generator.fetch(deployment.server.endpoint, ask, bed.tls(deployment.condition.load))
        fault = fetched.failure or find_fault(request, fetched.status, fetched.body)
        if fault:
            deployment.require_alive()  # If it ended, that is the reason.
            raise MeasurementInvalid(
                f"Asking {deployment.arm.name} for {request.called} {when}",
                f"{fault}; its last words: {deployment.server.last_words() or 'none'}",
                "The slot is INVALID. See the request's `status` and `expect`.",
            )
        found.append(record_answer(request, fetched.status, fetched.headers, fetched.body))
    return tuple(found)
