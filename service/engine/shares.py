"""How jobs share a batch: small ones overtake large ones, and no large one starves."""

from collections.abc import Sequence

from service.engine.jobs import Job

# The share of a batch that the oldest job always gets, however many small ones overtake it.
OLDEST_SHARE = 0.25


def shares_of(queue: Sequence[Job], limit: int) -> list[tuple[Job, int]]:
    """How many items of which job go into a batch of at most `limit`.

    The job with the fewest items left goes first, which gives the shortest mean wait and lets small
    jobs overtake large ones; the oldest job always gets its share, so that no job starves.
    """
    oldest = queue[0]
    reserved = min(oldest.num_waiting, max(1, int(limit * OLDEST_SHARE)))
    shares = {oldest: reserved}
    room = limit - reserved
    for job in sorted(queue, key=lambda job: job.num_waiting):
        if room == 0:
            break
        more = min(room, job.num_waiting - shares.get(job, 0))
        if more:
            shares[job] = shares.get(job, 0) + more
            room -= more
    return list(shares.items())
