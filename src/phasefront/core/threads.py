"""Work on many items, none of which waits for another, shared among threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
# Environment variable by which Snakemake names a job's share of the machine.
VARIABLE = "OMP_NUM_THREADS"
_END = object()  # after the last

# Shares a thread takes, one after the other, so that none waits long for the last.
_SHARES = 8


def available() -> int:
    """Threads that this process may use: as many as it was told, else one a processor."""
    return int(os.environ.get(VARIABLE) or os.cpu_count())


def keep_to_one() -> None:
    """Have this process use one thread, BLAS among the rest: for one of several that share work."""
    from threadpoolctl import threadpool_limits

    os.environ[VARIABLE] = "1"
    threadpool_limits(1)


def share_out(work: Callable[..., None], number: int, *arguments, share: int | None = None) -> None:
    """Call ``work(begin, end, *arguments)`` on shares of ``range(number)``, by several threads.

    `work` lets other threads run (a kernel compiled with ``nogil``, or NumPy's BLAS) and writes
    only what belongs to its own items, so that their number does not matter. A compiled loop is
    ready in a fifth of the time that numba's own parallel loop takes, which is compiled four times.
    """
    threads = available()
    share = share or max(1, -(-number // (_SHARES * threads)))
    shares = [(begin, min(begin + share, number)) for begin in range(0, number, share)]
    if threads == 1 or len(shares) < 2:
        for begin, end in shares:
            work(begin, end, *arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda own: work(*own, *arguments), shares):
            pass


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, in order; the next is got ready while one is worked on, if there are threads
    for it. So reading waits for no computing, at the cost of memory for one item more."""
    if available() == 1:
        yield from items
        return
    source = iter(items)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, source, _END)
        while (item := following.result()) is not _END:
            following = pool.submit(next, source, _END)
            yield item
