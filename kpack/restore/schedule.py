"""The order in which jobs are begun: all workers are to end together, and to wait little for each other."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, List, Sequence

if TYPE_CHECKING:
    from .wheels import Job

_REST = 64
"""The part of the whole weight, as its divisor, that the lightest jobs make up which are begun last."""


def starting_order(jobs: Sequence[Job], workers: int) -> List[Job]:
    """Return the jobs in the order in which ``workers`` shall begin them.

    A large file is inflated and written in long calls, during which other threads run; between two small ones the
    interpreter's lock is taken and given back several times. Workers that all write small files wait for it and for
    being woken up, so half of them begin with the smallest files and the others with the largest. This plays the
    workers through by what each job weighs; whichever comes for the next job takes the one that is next. The lightest
    jobs are left for the end, where they fill what the others leave uneven.
    """
    weighed = sorted(((job.weight, number) for number, job in enumerate(jobs)), reverse=True)
    left = sum(weight for weight, _ in weighed) // _REST
    light: List[Job] = []
    while weighed and weighed[-1][0] <= left:
        left -= weighed[-1][0]
        light.append(jobs[weighed.pop()[1]])
    density = sorted((len(jobs[number].files) / weight, -weight, number) for weight, number in weighed)
    waiting = deque((jobs[number], -weight) for _, weight, number in density)
    free = [(0, slot) for slot in range(max(1, workers))]
    found = []
    while waiting:
        at, slot = heapq.heappop(free)
        job, weight = waiting.pop() if slot % 2 else waiting.popleft()
        heapq.heappush(free, (at + weight, slot))
        found.append(job)
    return found + light[::-1]
