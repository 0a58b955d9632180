"""How many rows walk together, and what happens when memory runs out."""

import logging
from collections.abc import Callable

import torch

from lcrp.attribution.memory import exhausted
from lcrp.attribution.program import Program

log = logging.getLogger(__name__)


class Batching:
    """Runs work over rows a few at a time; fewer once memory has run out.

    Attributes:
        rows: how many walk together at most; None for as many as need little memory beside that
            of the images.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, rows: int | None = None):
        self.device, self.dtype, self.rows = device, dtype, rows
        self._halved = False

    def at_once(self, program: Program) -> int:
        """How many rows walk together at most."""
        if self.rows is not None:
            return self.rows
        most, memory = (64, 2**30) if self.device.type == "cuda" else (16, 2**26)
        return min(most, max(1, memory // (program.widest * self.dtype.itemsize)))

    def run(
        self,
        program: Program,
        count: int,
        work: Callable[[int, int], object],
        most: int | None = None,
    ) -> list:
        """Results of work(start, stop) over `count` rows, in order.

        When memory runs out, the work is repeated with half as many rows, from then on for good.

        Args:
            most: rows at a time at most, whatever `at_once` says.
        """
        parts, start = [], 0
        while start < count:
            together = self.at_once(program)
            stop = min(start + min(together, most or together), count)
            try:
                parts.append(work(start, stop))
                start = stop
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not exhausted(error) or stop - start == 1:
                    raise
                self._halve(stop - start)
        return parts

    def _halve(self, count):
        self.rows = max(1, count // 2)
        if not self._halved:
            log.warning("memory exhausted: going on with fewer targets at a time")
        self._halved = True
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def groups(self, program: Program, images: list[int]) -> list[tuple[int, int]]:
        """(first, end) of targets that walk together, images not torn apart if they fit.

        Args:
            images: of each target, in ascending order.
        """
        starts, most = [0], self.at_once(program)
        for i in range(1, len(images)):
            if images[i] == images[i - 1]:
                continue
            end = i
            while end < len(images) and images[end] == images[i]:
                end += 1
            if end - starts[-1] > most:
                starts.append(i)
        return list(zip(starts, [*starts[1:], len(images)], strict=True))
