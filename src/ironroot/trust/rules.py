"""The policy decision (NIST SP 800-207 3.1): one device's standing in, one verdict out. Pure.

`TABLE` is read top down and the first row that speaks decides: the strictest first, so that no weaker evidence
outweighs a stronger one. A standing that no row speaks for is `unknown` (deny by default).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ironroot.core.clock import rfc3339
from ironroot.trust.model import CertificateStanding, Reason, Standing, TrustState, Verdict

Row = Callable[[Standing, datetime], Verdict | None]

REMEDY = {
    TrustState.UNKNOWN: "enrol with a new claim: `ironroot claim create --device ID`",
    TrustState.TRUSTED: "",
    TrustState.RESTRICTED: "attest or update; nothing else is open until then",
    TrustState.QUARANTINED: "an operator releases it: `ironroot device release ID --reason TEXT`",
    TrustState.REVOKED: "an administrator decides: a new claim is the only way back",
}


def decide(standing: Standing, now: datetime) -> Verdict:
    """The verdict on a device at `now`."""
    for row in TABLE:
        verdict = row(standing, now)
        if verdict is not None:
            return verdict
    return Verdict(
        TrustState.UNKNOWN, (Reason("never-enrolled", "no certificate was ever issued", standing.registered),)
    )


def valid(standing: Standing, now: datetime) -> list[CertificateStanding]:
    """The certificates a door would still take, the longest-lived first."""
    good = [c for c in standing.certificates if c.revoked is None and c.not_after > now]
    return sorted(good, key=lambda c: c.not_after, reverse=True)


def _retired(standing: Standing, _: datetime) -> Verdict | None:
    if standing.retired is None:
        return None
    return Verdict(TrustState.REVOKED, (Reason("retired", "the device is retired", standing.retired),))


def _revoked(standing: Standing, now: datetime) -> Verdict | None:
    if not standing.certificates or standing.readmitted is not None or valid(standing, now):
        return None
    # Times have whole seconds: of two from the same one, the certificate that did not just make room counts.
    last = max(standing.certificates, key=lambda c: (c.not_before, c.revoked != "superseded"))
    if last.revoked is None:
        return None
    text = f"certificate {last.serial} is revoked: {last.revoked}"
    return Verdict(TrustState.REVOKED, (Reason("certificate-revoked", text, last.fact),))


def _held(standing: Standing, now: datetime) -> Verdict | None:
    hold = standing.hold
    if hold is None or (hold.expires_at is not None and hold.expires_at <= now):
        return None
    until = f", until {rfc3339(hold.expires_at)}" if hold.expires_at else ""
    reason = Reason("operator-hold", f"quarantined by {hold.actor}: {hold.reason}{until}", hold.fact)
    return Verdict(TrustState.QUARANTINED, (reason,), hold.expires_at)


def _certified(standing: Standing, now: datetime) -> Verdict | None:
    good = valid(standing, now)
    if not good:
        return None
    best = good[0]
    text = f"certificate {best.serial} is valid until {rfc3339(best.not_after)}"
    return Verdict(TrustState.TRUSTED, (Reason("certificate-valid", text, best.fact),), best.not_after)


def _readmitted(standing: Standing, _: datetime) -> Verdict | None:
    if standing.readmitted is None:
        return None
    text = "a new claim was made after its certificate was revoked; it has not enrolled yet"
    return Verdict(TrustState.UNKNOWN, (Reason("readmitted", text, standing.readmitted),))


def _expired(standing: Standing, _: datetime) -> Verdict | None:
    if not standing.certificates:
        return None
    last = max(standing.certificates, key=lambda c: c.not_before)
    text = f"certificate {last.serial} expired at {rfc3339(last.not_after)}"
    return Verdict(TrustState.UNKNOWN, (Reason("certificate-expired", text, last.fact),))


TABLE: tuple[Row, ...] = (_retired, _revoked, _held, _certified, _readmitted, _expired)
"""Order of precedence: retired, revoked, held by an operator, validly certified, readmitted, expired."""
