"""One-time claims: text that lets one device enrol once. Derived by HMAC, so that nothing stored can be shown.

The text is `irc_ID_MAC`; the MAC covers device and claim id under the purpose key `claim`. A guess is therefore found
wrong without asking the store, and a claim is worth nothing for another device. What is stored (expiry, use) decides
only about texts that are genuine.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from ironroot.core.errors import Unauthenticated
from ironroot.core.gcra import Budget
from ironroot.core.ids import ClaimId, DeviceId, new_id
from ironroot.domains.pki.model import Claim, ClaimState

PURPOSE = "claim"
PER_DEVICE = Budget(burst=10, period_s=60)
PER_SOURCE = Budget(burst=60, period_s=60)
_MAC_BYTES = 20
_TEXT = re.compile(r"(irc_[a-z2-7]{26})_([a-z2-7]{32})")
_REMEDY = "ask for a new claim for this device: ironroot claim create --device DEVICE"
_CLOSED = {
    ClaimState.USED: "the claim has been used",
    ClaimState.VOID: "the claim was voided when the device was revoked",
    ClaimState.EXPIRED: "the claim has expired",
}


def claim_id(entropy: bytes) -> ClaimId:
    """A new claim's id from 16 random bytes."""
    return ClaimId(new_id("irc", entropy))


def text(key: bytes, device: DeviceId, claim: ClaimId) -> str:
    """The claim's text, 63 characters; the same for the same key, device and id."""
    message = b"\0".join((b"ironroot claim", device.encode(), claim.encode()))
    mac = hmac.new(key, message, sha256).digest()[:_MAC_BYTES]
    return f"{claim}_{b32encode(mac).decode().lower()}"


def genuine(key: bytes, device: DeviceId, given: str) -> ClaimId:
    """The id of a claim that was made here for this device. Compares in constant time.

    Raises Unauthenticated for every other text, in the same words: a guesser learns nothing.
    """
    found = _TEXT.fullmatch(given)
    claim = ClaimId(found[1] if found else "irc_" + "a" * 26)
    matches = hmac.compare_digest(text(key, device, claim).encode(), given.encode())
    if found is None or not matches:
        raise Unauthenticated("not a claim for this device", remedy=_REMEDY, code="claim")
    return claim


def usable(claim: Claim | None, device: DeviceId, now: datetime) -> Claim:
    """The stored claim, if it may be used now. Raises Unauthenticated with the reason, which its holder may know."""
    if claim is None or claim.device != device:
        raise Unauthenticated("no such claim", remedy=_REMEDY, code="claim")
    state = claim.state(now)
    if state is not ClaimState.OPEN:
        raise closed(state)
    return claim


def closed(state: ClaimState) -> Unauthenticated:
    """The refusal of a genuine claim that is used, void or expired."""
    return Unauthenticated(_CLOSED[state], remedy=_REMEDY, code=f"claim-{state}")


def source_key(address: str) -> str:
    """What counts as one source: an IPv4 address, or an IPv6 /64, which is one customer's to fill."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else found.exploded[:19]
    return str(found)


def peer(address: str) -> str:
    """A source as the actor of a fact."""
    return "peer/" + ("".join(c for c in address if c.isascii() and c.isprintable() and c != " ")[:64] or "unknown")
