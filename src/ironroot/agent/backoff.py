"""How long to wait before trying again: exponential, bounded, jittered, so that a fleet does not return as one wave.

Pure: the random number is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits from `first_s`, doubling up to `longest_s`; the second half of each wait is random."""

    first_s: float = 1.0
    longest_s: float = 300.0

    def delay_s(self, failures: int, randomness: float) -> float:
        """Seconds to wait after `failures` failures in a row (1 or more); `randomness` is in [0, 1).

        Never under `first_s`: faster is abuse of the platform by its own devices.
        """
        exponent = min(max(failures - 1, 0), 32)
        full = min(self.longest_s, self.first_s * 2.0**exponent * 2.0)
        return max(self.first_s, full * (0.5 + 0.5 * randomness))
