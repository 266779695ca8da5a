"""`ironroot up` without a demo: seconds to ready, and what the whole platform holds in memory.

Ready is the line it prints once every process answers. The first start makes keys and the CA hierarchy; the second finds
them. Memory is read when the platform has been idle for a while: with a thousand devices known and none connected, and
with all of them connected and silent.
"""

from __future__ import annotations

import time
from functools import reduce
from operator import add

from bench.support import fleet as fleets
from bench.support import load
from bench.support.figures import Bench, number, spread
from bench.support.platform import up
from bench.support.processes import Memory

IDLE_S = 8.0


def start(bench: Bench) -> None:
    """Measure it."""
    first: list[float] = []
    second: list[float] = []
    stopped: list[float] = []
    for turn in range(bench.pick(5, 1)):
        data = bench.scratch / f"start-{turn}"
        for taken in (first, second):
            with up(data) as platform:
                taken.append(platform.ready_s)
                began = time.monotonic()
            stopped.append(time.monotonic() - began)
        bench.say(f"first {first[-1]:.2f} s, second {second[-1]:.2f} s")
    rows = [["first start", spread(first)], ["second start", spread(second)], ["stop", spread(stopped)]]
    bench.table(f"`ironroot up` to ready, seconds ({len(first)} runs)", ["", "s"], rows)
    bench.keep(first_s=first, second_s=second, stop_s=stopped)
    _memory(bench)


def _memory(bench: Bench) -> None:
    fleet = fleets.shared(bench)
    with up(fleet.copy(bench.scratch / "memory")) as platform:
        time.sleep(IDLE_S)
        idle = platform.memory()
        cpu, began = platform.cpu_s(), time.monotonic()
        time.sleep(IDLE_S)
        idle_cpu = (platform.cpu_s() - cpu) / (time.monotonic() - began)
        order = load.load(
            "hold", platform.mqtt_port, fleet.roots, fleets.names(fleet.devices[:1_000]), parallel=20, limit_s=120
        )
        with order as generator:
            count = generator.answer()["ready"]
            time.sleep(IDLE_S)
            busy = platform.memory()
    rows = [
        [role, number(m.rss), number(m.pss), number(busy[role].rss), number(busy[role].pss)] for role, m in idle.items()
    ]
    before, after = _total(idle), _total(busy)
    rows.append(["all", *(number(mb) for mb in (before.rss, before.pss, after.rss, after.pss))])
    each = 1e3 * (after.pss - before.pss) / count
    bench.table(
        f"Memory in MB, {len(fleet.devices):,} devices known: none connected, then {count:,}",
        ["", "RSS, none", "PSS, none", f"RSS, {count}", f"PSS, {count}"],
        rows,
        f"{number(each)} KB (PSS) per connected device, all processes",
        f"idle without devices, all processes: {100 * idle_cpu:.1f} % of one core",
        "PSS counts a page that several processes share once: it is what the machine gives",
    )
    bench.keep(idle_pss_mb=before.pss, idle_rss_mb=before.rss, per_device_kb=each, idle_cpu=idle_cpu)


def _total(of: dict[str, Memory]) -> Memory:
    return reduce(add, of.values())
