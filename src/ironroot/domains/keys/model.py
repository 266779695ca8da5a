"""What a key is here: its purpose, its algorithm, and where its private part lives."""

from __future__ import annotations

from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_BYTES = 32
"""Length of the master key, of every purpose key and of every person's key."""

SigningKey = EllipticCurvePrivateKey | Ed25519PrivateKey
"""A key that signs. One in a token is a subclass whose `sign` asks the token."""


class Algorithm(StrEnum):
    """What a signing key signs with."""

    P256 = "p256"
    ED25519 = "ed25519"


class Home(StrEnum):
    """Where a private key lives, as its fact records it."""

    SOFTWARE = "software"
    PKCS11 = "pkcs11"
    TPM = "tpm"
