"""The auth callout's words: what nats-server asks when somebody connects, and the answer it believes.

A request is a JWT from the server with the client's verified certificate chain; the answer is a JWT of the issuer's
account key with a user JWT in it, or an error (nats-server ADR-26). The request's signature is not checked: it comes
from an account in which the server alone can publish on that subject to us.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from ironroot.adapters.nats.nkey import AccountKey, claims_of
from ironroot.core.errors import Forbidden, Malformed
from ironroot.core.ids import Fingerprint
from ironroot.domains.messaging.model import Grant, Knock

ACCOUNT = "DEV"


class _Server(msgspec.Struct):
    id: str


class _Client(msgspec.Struct):
    host: str = ""
    type: str = ""
    mqtt_id: str = ""


class _Tls(msgspec.Struct):
    version: str = ""
    verified_chains: list[list[str]] = []


class _Asked(msgspec.Struct):
    server_id: _Server
    user_nkey: str
    client_info: _Client
    client_tls: _Tls | None = None


class _Claims(msgspec.Struct):
    nats: _Asked


_decoder = msgspec.json.Decoder(_Claims)


class Request:
    """One question of the server's."""

    __slots__ = ("_asked",)

    def __init__(self, jwt: bytes) -> None:
        """Raises Malformed for what is no authorisation request."""
        try:
            self._asked = _decoder.decode(claims_of(jwt)).nats
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            raise Malformed("not an authorisation request") from e

    @property
    def address(self) -> str:
        """The client's address."""
        return self._asked.client_info.host[:64]

    @property
    def client_id(self) -> str:
        """The MQTT client id."""
        return self._asked.client_info.mqtt_id

    def knock(self) -> Knock:
        """The device that asks. Raises Forbidden for whoever is no MQTT client with a verified certificate."""
        asked = self._asked
        if asked.client_info.type != "mqtt" or asked.client_tls is None:
            raise Forbidden("not an MQTT client", code="not-mqtt")
        if asked.client_tls.version != "1.3":
            raise Forbidden("not TLS 1.3", code="tls-version")
        chains = asked.client_tls.verified_chains
        if not chains or not chains[0]:
            raise Forbidden("no verified certificate", code="no-certificate")
        try:
            leaf = x509.load_pem_x509_certificate(chains[0][0].encode())
            names = tuple(str(a.value) for a in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
        except ValueError as e:
            raise Forbidden("the certificate cannot be read", code="no-certificate") from e
        return Knock(self.client_id, Fingerprint(leaf.fingerprint(SHA256()).hex()), names, self.address)

    def granted(self, grant: Grant, issuer: AccountKey, now: datetime) -> bytes:
        """The answer that lets the client in."""
        at = int(now.timestamp())
        user = {
            "iat": at,
            "exp": int(grant.expires_at.timestamp()),
            "iss": issuer.public,
            "sub": self._asked.user_nkey,
            "aud": ACCOUNT,
            "name": grant.device,
            "nats": {
                "type": "user",
                "version": 2,
                "pub": _permission(grant.publish),
                "sub": _permission(grant.subscribe),
                "subs": grant.max_subscriptions,
                "data": -1,
                "payload": grant.max_payload_bytes,
                "allowed_connection_types": ["MQTT"],
            },
        }
        return self._answer(issuer, at, {"jwt": issuer.jwt(user)})

    def refused(self, reason: str, issuer: AccountKey, now: datetime) -> bytes:
        """The answer that keeps the client out. The client itself sees `not authorised` and no more."""
        return self._answer(issuer, int(now.timestamp()), {"error": reason})

    def _answer(self, issuer: AccountKey, at: int, outcome: dict[str, Any]) -> bytes:
        claims = {
            "iat": at,
            "iss": issuer.public,
            "aud": self._asked.server_id.id,
            "sub": self._asked.user_nkey,
            "nats": {"type": "authorization_response", "version": 2, **outcome},
        }
        return issuer.jwt(claims).encode()


def _permission(subjects: tuple[str, ...]) -> dict[str, list[str]]:
    """An empty list of allowed subjects would allow all of them: say what is denied instead."""
    return {"allow": list(subjects)} if subjects else {"deny": [">"]}
