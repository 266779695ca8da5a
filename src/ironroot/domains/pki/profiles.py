"""Certificate profiles as data: what may be certified for which purpose, and how the certificate looks.

`prepare` builds from these rows and `lint` checks the result against them again. Names and extensions come from
here and from the inventory, never from a request. RFC 5280 section 4; the hierarchy is P-256 throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import ObjectIdentifier

from ironroot.domains.pki.model import Role
from ironroot.domains.pki.publickey import Family

KeyUsage = Literal["digital_signature", "key_cert_sign", "crl_sign"]

_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of certificate. `names`: what its subject alternative name holds."""

    name: str
    issuer: Role
    families: frozenset[Family]
    lifetime: timedelta
    max_lifetime: timedelta
    key_usage: frozenset[KeyUsage]
    extended_key_usage: tuple[ObjectIdentifier, ...]
    names: Literal["none", "device", "server"] = "none"
    ca: bool = False
    self_signed: bool = False
    path_length: int | None = None


_CA_USAGE: frozenset[KeyUsage] = frozenset({"key_cert_sign", "crl_sign"})
_LEAF_USAGE: frozenset[KeyUsage] = frozenset({"digital_signature"})
_P256 = frozenset({Family.P256})

# No path length at the root: a successor of the root is cross-certified below it and needs the room.
ROOT = Profile("root", Role.ROOT, _P256, 25 * _YEAR, 26 * _YEAR, _CA_USAGE, (), ca=True, self_signed=True)


def _issuing(role: Role, *purposes: ObjectIdentifier) -> Profile:
    return Profile(f"{role}-ca", Role.ROOT, _P256, 10 * _YEAR, 11 * _YEAR, _CA_USAGE, purposes, ca=True, path_length=0)


CA_PROFILES: Mapping[Role, Profile] = {
    Role.ROOT: ROOT,
    Role.SERVER: _issuing(Role.SERVER, Eku.SERVER_AUTH),
    Role.FACTORY: _issuing(Role.FACTORY, Eku.CLIENT_AUTH),
    Role.DEVICE: _issuing(Role.DEVICE, Eku.CLIENT_AUTH),
}

DEVICE = Profile(
    "device",
    Role.DEVICE,
    frozenset({Family.P256, Family.P384, Family.RSA}),
    timedelta(days=90),
    2 * _YEAR,
    _LEAF_USAGE,
    (Eku.CLIENT_AUTH,),
    names="device",
)

# Browsers take at most 825 days from a root their user has added.
SERVER = Profile(
    "server",
    Role.SERVER,
    _P256,
    timedelta(days=90),
    timedelta(days=825),
    _LEAF_USAGE,
    (Eku.SERVER_AUTH,),
    names="server",
)
