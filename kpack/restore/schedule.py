"""The order in which jobs are begun: all workers are to end together, and to wait little for each other."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, List, Sequence

if TYPE_CHECKING:
    from .wheels import Job


def starting_order(jobs: Sequence[Job], workers: int) -> List[Job]:
    """Return the jobs in the order in which ``workers`` shall begin them.

    A large file is inflated and written in long calls, during which other threads run; between two small ones the
    interpreter's lock is taken and given back several times. Workers that all write small files wait for it and for
    being woken up, so half of them begin with the smallest files and the others with the largest. This plays the
    workers through by what each job weighs; whichever comes for the next job takes the one that is next.
    """
    waiting = deque(sorted(jobs, key=lambda job: (len(job.files) / (job.weight or 1), -job.weight)))
    free = [(0.0, slot) for slot in range(max(1, workers))]
    found = []
    while waiting:
        at, slot = heapq.heappop(free)
        job = waiting.pop() if slot % 2 else waiting.popleft()
        heapq.heappush(free, (at + job.weight, slot))
        found.append(job)
    return found
