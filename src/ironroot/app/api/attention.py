"""What needs somebody's attention now, in words: pure, from decisions, certificates and the day's refusals.

Refusals of the same kind about the same device are one line with a count; the worst and newest come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ironroot.core.clock import rfc3339
from ironroot.core.ids import DeviceId
from ironroot.eventlog.model import Fact
from ironroot.trust.model import TrustDecision

KINDS = ("access.refused", "claim.refused", "enrolment.refused", "mqtt.refused", "mqtt.violation")
"""Refusals that are shown; each is a fact that is held to a rate."""
MOST = 20
_RANK = {"high": 0, "medium": 1}
_CLAIMS = {
    "claim": "that is not its own",
    "claim-used": "that was used before",
    "claim-expired": "that had run out",
    "claim-void": "that was made void",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line. `fact` is the number of the newest fact behind it, `count` how often it happened within a day."""

    severity: str
    kind: str
    device: str | None
    text: str
    at: datetime
    fact: int | None = None
    count: int = 1

    def show(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "severity": self.severity,
            "kind": self.kind,
            "device": self.device,
            "text": self.text,
            "at": rfc3339(self.at),
            "fact": self.fact,
            "count": self.count,
        }


def items(
    held: Iterable[TrustDecision], late: Mapping[DeviceId, datetime], refusals: Sequence[Fact], now: datetime
) -> list[Item]:
    """At most 20 lines. `late`: devices whose certificate ends then and should long have been renewed; `refusals`:
    the day's, newest first.
    """
    found = [Item("high", "quarantined", d.device, "; ".join(r.text for r in d.reasons), d.since) for d in held]
    found += [
        Item("high", "certificate-late", device, f"has not renewed its certificate, which ends {rfc3339(end)}", now)
        for device, end in late.items()
    ]
    found += _refusals(refusals)
    return sorted(found, key=lambda i: (_RANK[i.severity], -i.at.timestamp()))[:MOST]


def _refusals(facts: Sequence[Fact]) -> list[Item]:
    newest: dict[tuple[str, str], Fact] = {}
    counts: dict[tuple[str, str], int] = {}
    for fact in facts:
        about = fact.kind, fact.subject
        newest.setdefault(about, fact)
        left_out = fact.body.get("suppressed", 0)
        counts[about] = counts.get(about, 0) + 1 + (left_out if isinstance(left_out, int) else 0)
    return [
        Item("medium", fact.kind, _device(fact), words(fact), fact.at, fact.seq, counts[about])
        for about, fact in newest.items()
    ]


def words(fact: Fact) -> str:
    """What a refusal says to a person."""
    body = fact.body
    by = fact.actor.partition("/")[2] or fact.actor
    match fact.kind:
        case "mqtt.violation" if body.get("violation") == "flood":
            return f"was cut off for flooding: {body.get('detail')}"
        case "mqtt.violation":
            return f"tried to {body.get('violation')} where it may not: {body.get('detail')}"
        case "mqtt.refused":
            return f"was refused at the MQTT door: {body.get('reason')} (from {by})"
        case "claim.refused":
            return f"a claim {_CLAIMS.get(str(body.get('code')), 'that was refused')} was shown for it (from {by})"
        case "enrolment.refused":
            return f"{'renewal' if body.get('renew') else 'enrolment'} was refused: {body.get('text')} (from {by})"
        case "access.refused":
            return f"a sign-in by {body.get('what')} was refused: {body.get('why')} (from {by})"
        case _:
            return fact.kind


def _device(fact: Fact) -> str | None:
    kind, _, name = fact.subject.partition("/")
    return name if kind == "device" else None
