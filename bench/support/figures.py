"""Numbers from samples, and tables of them."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.support.processes import load_average

BEGAN = time.monotonic()


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile. Raises ValueError without samples."""
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times theirs ours is, by the medians."""
    return median(ours) / median(theirs)


def number(value: float) -> str:
    """Three digits that matter, thousands set apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(samples: Sequence[float]) -> str:
    """The median, and the least and greatest where there are several."""
    if len(samples) == 1:
        return number(samples[0])
    return f"{number(median(samples))} ({number(min(samples))} to {number(max(samples))})"


@dataclass
class Bench:
    """One run: its size, its scratch directory, and what was found."""

    scratch: Path
    small: bool = False
    found: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    kept: dict[str, Any] = field(default_factory=dict)
    """What benchmarks of one run share."""

    def pick(self, full: int, small: int) -> int:
        """A count: the full one, or the small one of a trial run."""
        return small if self.small else full

    def say(self, text: str) -> None:
        """Progress, on standard error."""
        sys.stderr.write(f"{time.monotonic() - BEGAN:6.1f} s  load {load_average():.1f}  {self.name}: {text}\n")
        sys.stderr.flush()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *notes: str) -> None:
        """Print a table (Markdown) and keep it."""
        widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

        print(f"\n{title}\n")
        print(line(columns))
        print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
        for row in rows:
            print(line(row))
        for note in notes:
            print(f"- {note}")
        sys.stdout.flush()
        self.found.setdefault(self.name, {}).setdefault("tables", []).append(
            {"title": title, "columns": list(columns), "rows": [list(r) for r in rows], "notes": list(notes)}
        )

    def keep(self, **figures: Any) -> None:
        """Figures for programs."""
        self.found.setdefault(self.name, {}).setdefault("figures", {}).update(figures)
