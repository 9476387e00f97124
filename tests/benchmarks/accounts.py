"""Whether a server's counters say what its clients saw: each to the last request."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

Samples = Mapping[str, float]

# Each rejection has one status, and nothing else is answered with it.
REASONS = {"queue_full": 429, "deadline": 504, "not_ready": 503}


@dataclasses.dataclass(frozen=True)
class Seen:
    """What clients sent to an operation, and what they were answered.

    Attributes:
        operation: As in the metrics.
        statuses: How many answers of each.
        num_left: Clients that did not wait for theirs: it may have been any.
    """

    operation: str
    statuses: Counter[int]
    num_left: int = 0


def changes(before: Samples, after: Samples) -> Callable[[str], float]:
    """By how much a series, or all that begin with the same text, went up between two scrapes."""

    def change(prefix: str) -> float:
        return sum(value - before.get(name, 0.0) for name, value in after.items() if name.startswith(prefix))

    return change


def discrepancies(before: Samples, after: Samples, seen: list[Seen]) -> list[str]:
    """What does not add up between two scrapes of a server that nobody else asked anything.

    The first scrape itself is counted in the second: whoever calls has it among what was seen.
    """
    change = changes(before, after)
    found = [problem for one in seen for problem in _of_operation(change, one)]
    for reason, status in REASONS.items():
        refused = change(f'vae_rejected_total{{reason="{reason}"}}')
        answered = change(f'vae_requests_total{{code="{status}",')
        found += _unless(
            refused == answered, f"{refused:g} rejected for {reason}, {answered:g} answers {status}"
        )
    for gauge in ("vae_queued_items", "vae_admitted_items"):
        found += _unless(after[gauge] == 0, f"{gauge} is {after[gauge]:g} when nothing is under way")
    return found


def of_samples(before: Samples, after: Samples, *, num_answered: int, num_images: int) -> list[str]:
    """What does not add up where each request that was answered with 200 was a sample of `num_images`."""
    change = changes(before, after)
    expected = {
        "vae_queue_seconds_count": num_answered,
        'vae_codec_seconds_count{stage="encode_image"}': num_answered,
        'vae_batch_items_sum{operation="decode"}': num_answered * num_images,
        'vae_device_seconds_count{operation="decode"}': change('vae_batch_items_count{operation="decode"}'),
        "vae_cancelled_total": 0,
        "vae_batch_failures_total": 0,
    }
    return [
        f"{series} went up by {change(series):g}, expected {number:g}"
        for series, number in expected.items()
        if change(series) != number
    ]


def _of_operation(change: Callable[[str], float], seen: Seen) -> Iterator[str]:
    num_sent = sum(seen.statuses.values()) + seen.num_left
    counted = {
        status: change(f'vae_requests_total{{code="{status}",operation="{seen.operation}"}}')
        for status in {*seen.statuses, *range(200, 600)}
    }
    yield from _unless(
        sum(counted.values()) == num_sent, f"{seen.operation}: {sum(counted.values()):g} of {num_sent} sent"
    )
    for status, num in counted.items():
        at_least = seen.statuses[status]
        if not at_least <= num <= at_least + seen.num_left:
            yield f"{seen.operation}: {num:g} answers {status} counted, {at_least} seen"
    if seen.operation != "other":
        timed = change(f'vae_request_duration_seconds_count{{operation="{seen.operation}"}}')
        yield from _unless(timed == num_sent, f"{seen.operation}: {timed:g} of {num_sent} timed")


def _unless(is_so: bool, problem: str) -> list[str]:
    return [] if is_so else [problem]
