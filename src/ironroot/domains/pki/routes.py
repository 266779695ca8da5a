"""The HTTP routes for people and programs: claims, certificates, CAs. EST and the plain ones have files of their own."""

from __future__ import annotations

from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ironroot.core.clock import Clock, duration, rfc3339
from ironroot.core.errors import Malformed
from ironroot.core.ids import device_id
from ironroot.domains.pki import names
from ironroot.domains.pki.est_routes import est_routes
from ironroot.domains.pki.ledger import fingerprint_of, serial_text
from ironroot.domains.pki.model import Ca, CertificateRecord, Claim, ClaimState, NewClaim, Reason, Status
from ironroot.domains.pki.plain_routes import plain_routes
from ironroot.domains.pki.service import MAX_COMMENT, Authority
from ironroot.edge.authorize import current_principal, require_permission, requires_auth
from ironroot.edge.paging import Cursor, Limit, decode_cursor, page

__all__ = ["api_router", "est_routes", "plain_routes", "show_certificate"]

Closed = ConfigDict(extra="forbid")
DeviceQuery = Annotated[str | None, Query(max_length=63, description="device id")]
SerialParameter = Annotated[
    str, Path(max_length=64, pattern="^[0-9A-Fa-f]+$", description="serial or fingerprint, hex")
]


class WantedClaim(BaseModel):
    """A claim to make; `type` is for a device that is registered by it."""

    model_config = Closed
    device: str = Field(max_length=63, examples=["meter-1"])
    expires: str | None = Field(None, max_length=12, examples=["24h"])
    type: str | None = Field(None, max_length=63)


class Revocation(BaseModel):
    """Why a certificate ends."""

    model_config = Closed
    reason: Reason = Reason.UNSPECIFIED
    comment: str | None = Field(None, max_length=MAX_COMMENT)


def show_new_claim(made: NewClaim) -> dict[str, Any]:
    """A claim just made, its text this once."""
    return {
        "id": made.id,
        "device": made.device,
        "claim": made.claim.reveal().decode(),
        "expires_at": rfc3339(made.expires_at),
    }


def show_claim(claim: Claim, state: ClaimState) -> dict[str, Any]:
    """A claim without its text."""
    return {
        "id": claim.id,
        "device": claim.device,
        "state": state,
        "created_at": rfc3339(claim.created_at),
        "created_by": claim.created_by,
        "expires_at": rfc3339(claim.expires_at),
        "used_at": None if claim.used_at is None else rfc3339(claim.used_at),
    }


def show_certificate(found: CertificateRecord, status: Status) -> dict[str, Any]:
    """A certificate as the API shows it."""
    return {
        "serial": found.serial,
        "fingerprint": found.fingerprint,
        "device": found.device,
        "profile": found.profile,
        "subject": found.subject,
        "issuer": found.issuer,
        "key_type": found.key_type,
        "not_before": rfc3339(found.not_before),
        "not_after": rfc3339(found.not_after),
        "status": status,
        "revoked_at": None if found.revoked_at is None else rfc3339(found.revoked_at),
        "reason": found.reason,
    }


def show_ca(ca: Ca) -> dict[str, Any]:
    """A CA as the API shows it."""
    certificate = ca.certificate
    return {
        "name": ca.name,
        "role": ca.role,
        "subject": names.text(certificate.subject),
        "issuer": names.text(certificate.issuer),
        "serial": serial_text(certificate.serial_number),
        "fingerprint": fingerprint_of(certificate),
        "not_before": rfc3339(certificate.not_valid_before_utc),
        "not_after": rfc3339(certificate.not_valid_after_utc),
    }


def api_router(authority: Authority, clock: Clock) -> APIRouter:
    """`/claims`, `/certificates` and `/ca`, to be mounted below `/api/v1`."""
    router = APIRouter()

    @router.post("/claims", status_code=201, tags=["claims"])
    @requires_auth
    @require_permission("claim.create")
    async def create_claim(body: WantedClaim, response: Response) -> dict[str, Any]:
        """Let a device enrol once. The claim is shown this once; a device that is new is registered."""
        lifetime = None if body.expires is None else duration(body.expires)
        made = await authority.create_claim(device_id(body.device), current_principal().actor, lifetime, body.type)
        response.headers["Cache-Control"] = "no-store"
        return show_new_claim(made)

    @router.get("/claims", tags=["claims"])
    @requires_auth
    @require_permission("certificate.read")
    async def list_claims(
        limit: Limit = 100,
        cursor: Cursor = None,
        device: DeviceQuery = None,
        open_: Annotated[bool, Query(alias="open", description="only those that may still be used")] = False,
    ) -> dict[str, Any]:
        """Claims, newest first, without their text."""
        found = await authority.claims(
            device=None if device is None else device_id(device),
            state=ClaimState.OPEN if open_ else None,
            before=_number(cursor),
            limit=limit + 1,
        )
        now = clock.now()
        return page(found, limit, lambda c: str(c.number), lambda c: show_claim(c, c.state(now)))

    @router.get("/certificates", tags=["certificates"])
    @requires_auth
    @require_permission("certificate.read")
    async def list_certificates(
        limit: Limit = 100, cursor: Cursor = None, device: DeviceQuery = None, status: Status | None = None
    ) -> dict[str, Any]:
        """Certificates, newest first."""
        found = await authority.certificates(
            None if device is None else device_id(device), status=status, before=_number(cursor), limit=limit + 1
        )
        now = clock.now()
        return page(found, limit, lambda c: str(c.number), lambda c: show_certificate(c, c.status(now)))

    @router.get("/devices/{device}/certificates", tags=["certificates"])
    @requires_auth
    @require_permission("certificate.read")
    async def certificates_of(
        device: Annotated[str, Path(max_length=63)], limit: Limit = 100, cursor: Cursor = None
    ) -> dict[str, Any]:
        """A device's certificates, newest first."""
        found = await authority.certificates(device_id(device), before=_number(cursor), limit=limit + 1)
        now = clock.now()
        return page(found, limit, lambda c: str(c.number), lambda c: show_certificate(c, c.status(now)))

    @router.get("/certificates/{serial}", tags=["certificates"])
    @requires_auth
    @require_permission("certificate.read")
    async def show_one(serial: SerialParameter) -> dict[str, Any]:
        """One certificate, with its PEM."""
        found = await authority.certificate(serial)
        pem = x509.load_der_x509_certificate(found.der).public_bytes(Encoding.PEM).decode()
        return show_certificate(found, found.status(clock.now())) | {"pem": pem}

    @router.post("/certificates/{serial}/revoke", tags=["certificates"])
    @requires_auth
    @require_permission("certificate.revoke")
    async def revoke(serial: SerialParameter, body: Revocation) -> dict[str, Any]:
        """Revoke one certificate; a second time changes nothing."""
        found = await authority.revoke(serial, body.reason, current_principal().actor, body.comment)
        return show_certificate(found, found.status(clock.now()))

    @router.get("/ca", tags=["ca"])
    @requires_auth
    @require_permission("certificate.read")
    async def list_cas() -> dict[str, Any]:
        """The certification authorities, the root first."""
        return {"items": [show_ca(ca) for ca in authority.cas()], "next": None}

    @router.get("/ca/roots.pem", tags=["ca"], response_class=Response)
    @requires_auth
    async def roots() -> Response:
        """The current roots in PEM: what clients of this platform trust."""
        return Response(authority.roots_pem(), media_type="application/x-pem-file")

    return router


def _number(cursor: str | None) -> int | None:
    key = decode_cursor(cursor)
    if key is None:
        return None
    if not key.isdecimal() or len(key) > 18:
        raise Malformed("not a cursor", remedy="pass on `next` of the page before, unchanged")
    return int(key)
