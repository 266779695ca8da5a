"""How a child talks to its supervisor: lines on an inherited descriptor, and listening sockets it inherits.

A line is a word, or a word, a space and text: `prepared`, `ready`, `status 12 of 25 connected`, `link URL`,
`hint TEXT`, `failed REASON`. Without a supervisor (a systemd unit, a test) `tell` does nothing. This also speaks
sd_notify to systemd for the supervisor itself.
"""

from __future__ import annotations

import os
import socket

from ironroot.core.errors import Misconfigured

NOTIFY_FD = "IRONROOT_NOTIFY_FD"
SOCKET_FD = "IRONROOT_{}_FD"
MAX_LINE = 4_096


def tell(word: str, text: str = "") -> None:
    """Say one line to the supervisor. Never raises for a supervisor that is gone: the child's end is near then."""
    number = os.environ.get(NOTIFY_FD)
    if not number:
        return
    line = f"{word} {' '.join(text.split())}".strip().encode()[: MAX_LINE - 1] + b"\n"
    try:
        os.write(int(number), line)  # below PIPE_BUF: never torn
    except (OSError, ValueError):
        return


def inherited(name: str) -> socket.socket:
    """The listening Unix socket the supervisor holds under `name` (`api`, `host`), non-blocking.

    Raises Misconfigured when this process was not started by a supervisor that has it.
    """
    number = os.environ.get(SOCKET_FD.format(name.upper()))
    if not number:
        raise Misconfigured(
            f"no inherited socket {name!r}", remedy="this process is started by `ironroot up`", code="no-socket"
        )
    try:
        held = socket.socket(fileno=os.dup(int(number)))
    except (OSError, ValueError) as e:
        raise Misconfigured(f"inherited socket {name!r} is not open", code="no-socket") from e
    held.setblocking(False)
    return held


def tell_systemd(state: str) -> None:
    """Send `READY=1`, `STOPPING=1` or `STATUS=...` to systemd where it asked for it (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
            datagram.sendto(state.encode(), target)
    except OSError:
        return
