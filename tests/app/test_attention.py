"""What needs attention: in words, counted, the worst first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ironroot.app.api.attention import MOST, items
from ironroot.core.ids import DeviceId, FactId
from ironroot.eventlog.model import Fact
from ironroot.trust.model import Reason, TrustDecision, TrustState

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HELD = TrustDecision(
    DeviceId("camera-1"),
    TrustState.QUARANTINED,
    (Reason("operator-hold", "quarantined by user/u: odd", None),),
    NOW - timedelta(hours=2),
    None,
)


def fact(seq: int, kind: str, subject: str, **body: object) -> Fact:
    at = NOW - timedelta(minutes=100 - seq)
    return Fact(seq, FactId(f"f{seq}"), at, kind, subject, "peer/10.0.0.9", body, b"", b"")  # type: ignore[arg-type]


def test_same_refusals_are_one_line_with_a_count() -> None:
    refusals = [
        fact(9, "mqtt.refused", "device/meter-1", reason="the certificate is revoked", suppressed=40),
        fact(8, "mqtt.refused", "device/meter-1", reason="the certificate is revoked"),
        fact(7, "mqtt.violation", "device/meter-1", violation="publish", detail="d.other.up.log"),
    ]
    first, second = items([], {}, refusals, NOW)
    assert (first.kind, first.count, first.fact, first.device) == ("mqtt.refused", 42, 9, "meter-1")
    assert "revoked" in first.text
    assert "10.0.0.9" in first.text
    assert second.text == "tried to publish where it may not: d.other.up.log"


def test_the_worst_comes_first() -> None:
    late = {DeviceId("meter-2"): NOW + timedelta(days=1)}
    found = items([HELD], late, [fact(9, "access.refused", "platform", what="link", why="used")], NOW)
    assert [i.severity for i in found] == ["high", "high", "medium"]
    assert found[-1].device is None


def test_a_refused_claim_is_told_in_words() -> None:
    (stolen,) = items([], {}, [fact(1, "claim.refused", "device/meter-1", code="claim")], NOW)
    assert stolen.text == "a claim that is not its own was shown for it (from 10.0.0.9)"
    (again,) = items([], {}, [fact(1, "claim.refused", "device/meter-1", code="claim-used")], NOW)
    assert "used before" in again.text


def test_bounded() -> None:
    refusals = [fact(n, "claim.refused", f"device/d{n}", code="claim") for n in range(60, 0, -1)]
    assert len(items([], {}, refusals, NOW)) == MOST
