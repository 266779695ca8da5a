"""What `agent status` says, from the state directory alone: it asks neither the platform nor the running agent."""

from __future__ import annotations

from datetime import timedelta

from ironroot.agent.renew import certificate_randomness, renewal_at
from ironroot.agent.state import State
from ironroot.core.clock import Clock, rfc3339


def describe(state: State, clock: Clock) -> dict[str, object]:
    """Identity, certificate and, where an agent runs, its connection. Raises NotFound before enrolment, Corrupt."""
    settings = state.settings()
    state.recover()
    certificate = state.certificate()
    answer: dict[str, object] = {
        "device": settings.device,
        "server": settings.server,
        "mqtt": settings.broker.netloc,
        "certificate": None,
        **_running(state),
    }
    if certificate is not None:
        randomness = certificate_randomness(certificate.fingerprint)
        now = clock.now()
        answer["certificate"] = {
            "serial": certificate.serial,
            "fingerprint": certificate.fingerprint,
            "not_before": rfc3339(certificate.not_before),
            "not_after": rfc3339(certificate.not_after),
            "renewal_at": rfc3339(renewal_at(certificate.not_before, certificate.not_after, randomness)),
            "expired": now >= certificate.not_after,
            "remaining_s": int(max(certificate.not_after - now, timedelta()).total_seconds()),
        }
    return answer


def _running(state: State) -> dict[str, object]:
    if not state.is_locked():
        return {"running": False, "connected": False}
    return {"running": True, "connected": False, **state.runtime()}
