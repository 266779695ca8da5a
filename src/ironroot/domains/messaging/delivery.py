"""When what a device has not answered is said again. Pure.

Down messages are published at QoS 0 and repeated until acknowledged on `up/event`, because a queue per device in the
broker does not scale and cannot be taken back. First at once, then after 5 s, 10 s, 20 s ... to every 10 minutes,
for as long as the device is connected; a new connection or a hello starts again from the front.
"""

from __future__ import annotations

FIRST_S = 5.0
LONGEST_S = 600.0
SETTLE_S = 1.0
"""After a connect, before the first word: a stock client subscribes after it is connected, and says no hello."""


def wait_s(sends: int) -> float:
    """Seconds between the `sends`-th time something was said (1: the first) and the next. Never shorter than before."""
    if sends < 1:
        return 0.0
    return min(FIRST_S * 2.0 ** min(sends - 1, 32), LONGEST_S)
