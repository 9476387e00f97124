"""A line of jobs against its own definition, through any order of coming, taking and leaving."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from service.engine.jobs import Job
from service.engine.line import OLDEST_SHARE, Line
from tests.service.engine.fakes import make_job

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 12)),
        st.tuples(st.just("remove"), st.integers(0, 100)),
        st.tuples(st.just("take"), st.integers(1, 16)),
    ),
    max_size=40,
)


def defined(jobs: Sequence[Job], limit: int) -> dict[Job, int]:
    """The oldest has its share, then whoever has the fewest items left takes what there is room for."""
    shares = {jobs[0]: min(jobs[0].num_waiting, max(1, int(limit * OLDEST_SHARE)))}
    for job in sorted(jobs, key=lambda job: job.num_waiting):
        room = limit - sum(shares.values())
        shares[job] = min(job.num_waiting, shares.get(job, 0) + room)
    return {job: num for job, num in shares.items() if num}


@given(EVENTS)
def test_shares_are_those_of_the_definition(events: list[tuple[str, int]]) -> None:
    line, waiting = Line(), []
    for kind, number in events:
        if kind == "add":
            waiting.append(make_job(number))
            line.add(waiting[-1])
        elif kind == "remove" and waiting:
            line.remove(waiting.pop(number % len(waiting)))
        elif kind == "take" and waiting:
            shares = line.shares(number)
            expected = defined(waiting, number)
            assert sorted(num for _, num in shares) == sorted(expected.values())
            assert shares[0] == (waiting[0], expected[waiting[0]])
            for job, num in shares:
                line.take(job, num)
            waiting = [job for job in waiting if job.num_waiting]
        assert list(line) == waiting
        assert bool(line) == bool(waiting)
        assert all(job in line for job in waiting)


def test_of_jobs_of_one_size_the_older_go_first() -> None:
    line, jobs = Line(), [make_job(2) for _ in range(5)]
    for job in jobs:
        line.add(job)
    assert line.shares(6) == [(job, 2) for job in jobs[:3]]
    assert line.oldest is jobs[0]
