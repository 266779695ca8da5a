"""Signing keys in this process's memory: made, written as PKCS#8, read back. Their facts say `software`."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironroot.core.errors import Corrupt
from ironroot.domains.keys.facts import KeyCreated
from ironroot.domains.keys.model import Algorithm, Home, SigningKey


def generate(algorithm: Algorithm) -> tuple[bytes, bytes]:
    """A fresh key: (PKCS#8 DER, SubjectPublicKeyInfo DER)."""
    key: SigningKey = generate_private_key(SECP256R1()) if algorithm is Algorithm.P256 else Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load(private: bytes) -> SigningKey:
    """The key in a PKCS#8 DER. Raises Corrupt for one of no algorithm made here."""
    key = serialization.load_der_private_key(private, password=None)
    if not isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise Corrupt("a stored signing key is of an unknown algorithm")
    return key


def algorithm(key: SigningKey) -> Algorithm:
    """What `key` signs with."""
    return Algorithm.ED25519 if isinstance(key, Ed25519PrivateKey) else Algorithm.P256


def secret_created(name: str, generation: int) -> KeyCreated:
    """The fact of a purpose key."""
    return KeyCreated(name, "secret256", generation, Home.SOFTWARE.value)


def signing_created(name: str, algorithm: Algorithm, public: bytes) -> KeyCreated:
    """The fact of a signing key; `public` in DER."""
    return KeyCreated(name, algorithm.value, 1, Home.SOFTWARE.value, sha256(public).hexdigest())
