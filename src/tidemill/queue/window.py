"""How many calls of one function are under way at once: grows by one a round while calls succeed, halves when the
function is at its limit. Pure; the clock is handed in."""

from __future__ import annotations

HALVE_EVERY_S = 0.5
"""One burst of 429s, all sent before the first came back, is one sign and not thirty."""


class Window:
    """Starts open: the edge's own queue smooths a burst, and most functions keep up."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(most)
        self._halved_at = float("-inf")

    @property
    def size(self) -> int:
        return max(1, int(self._size))

    @property
    def most(self) -> int:
        return self._most

    def bound(self, most: int) -> None:
        """A new upper limit; the size grows into it."""
        grown_open = self._size >= self._most
        self._most = most
        self._size = float(most) if grown_open else min(self._size, float(most))

    def succeeded(self) -> None:
        if self._size < self._most:
            self._size = min(float(self._most), self._size + 1.0 / self._size)

    def pushed_back(self, now: float) -> None:
        if now - self._halved_at >= HALVE_EVERY_S:
            self._size = max(1.0, self._size / 2)
            self._halved_at = now


def fair_share(limit: int, *, total: int, active: int) -> int:
    """Of a function among `active` ones that share `total` calls at once; never less than one."""
    return max(1, min(limit, total // max(1, active)))
