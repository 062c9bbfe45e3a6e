"""Batches that are made while the network computes."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

AHEAD = 2
# Keras looks at the first two batches of an epoch to learn their shapes, then asks for them again.
KEPT = 2


class Ahead:
    """A function of batches' numbers, called ahead of time by a thread of its own.

    Which batch has which number never changes, so results are the same as without it.

    Parameters
    ----------
    batch : callable
        From a number to a batch. It is called by one thread only, in the order of the numbers.
    numbers : range
        Those there are.

    Attributes
    ----------
    waited : float
        Seconds that whoever asked had to wait.
    failure : Exception or None
        What `batch` raised, if it did: a backend may tell it as an error of its own.
    """

    def __init__(self, batch: Callable[[int], Any], numbers: range):
        self.batch = batch
        self.numbers = numbers
        self.waited = 0.0
        self.failure: Exception | None = None
        self._made: dict[int, Future] = {}
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *error) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __call__(self, number: int) -> Any:
        """Give a batch, and have the next ones made."""
        step = self.numbers.step
        wanted = range(number, number + (AHEAD + 1) * step, step)
        kept = range(number - KEPT * step, wanted.stop)
        self._made = {other: made for other, made in self._made.items() if other in kept}
        for other in wanted:
            if other in self.numbers and other not in self._made:
                self._made[other] = self._thread.submit(self.batch, other)
        started = time.monotonic()
        try:
            return self._made[number].result()
        except Exception as error:
            self.failure = error
            raise
        finally:
            self.waited += time.monotonic() - started
