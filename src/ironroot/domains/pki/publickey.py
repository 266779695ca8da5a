"""Which public keys are fit to be certified. Decides by type and strength; proof of possession is the CSR's.

Refused before any arithmetic with them: a hostile RSA key (huge modulus, huge exponent) costs its checker time.
NIST SP 800-57 part 1 (112 bits and up), SP 800-89 section 5.3.3 for RSA.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from math import gcd, prod

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ironroot.core.errors import Unprocessable


class Family(StrEnum):
    """Kinds of keys a profile may allow."""

    P256 = "P-256"
    P384 = "P-384"
    RSA = "RSA"


_CURVES = {"secp256r1": Family.P256, "secp384r1": Family.P384}
_SMALL_PRIMES = prod(n for n in range(3, 752) if all(n % d for d in range(2, int(n**0.5) + 1)))
RSA_BITS = (2048, 4096)
RSA_EXPONENT = (65_537, 2**31 - 1)  # above, common TLS stacks refuse the key, so a certificate would be of no use
REMEDY = "make a P-256 key: openssl ecparam -name prime256v1 -genkey -noout -out device.key"


def family(key: object) -> Family:
    """The family of a sound key. Raises Unprocessable (`weak-key`, `key-type`) for every other, saying why."""
    match key:
        case EllipticCurvePublicKey():
            found = _CURVES.get(key.curve.name)
            if found is None:
                code = "weak-key" if key.key_size < 256 else "key-type"
                raise Unprocessable(f"the curve {key.curve.name} is not accepted", remedy=REMEDY, code=code)
            return found
        case RSAPublicKey():
            _examine_rsa(key)
            return Family.RSA
        case _:
            kind = type(key).__name__.removesuffix("PublicKey").lstrip("_")
            raise Unprocessable(f"{kind} keys are not accepted in certificates", remedy=REMEDY, code="key-type")


def allow(key: object, allowed: frozenset[Family]) -> str:
    """The key's type in words (`P-256`, `RSA-3072`). Raises Unprocessable unless sound and of an allowed family."""
    found = family(key)
    if found not in allowed:
        raise Unprocessable(f"{found} keys are not accepted for this purpose", remedy=REMEDY, code="key-type")
    return f"RSA-{key.key_size}" if isinstance(key, RSAPublicKey) else found.value


def spki(key: EllipticCurvePublicKey | RSAPublicKey) -> bytes:
    """The SubjectPublicKeyInfo in DER: named curve, uncompressed point."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def spki_hash(key: EllipticCurvePublicKey | RSAPublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex: one name per public key, however it was wrapped."""
    return sha256(spki(key)).hexdigest()


def _examine_rsa(key: RSAPublicKey) -> None:
    if not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        raise Unprocessable(f"RSA with {key.key_size} bits; 2048 to 4096 are accepted", remedy=REMEDY, code="weak-key")
    numbers = key.public_numbers()
    if not RSA_EXPONENT[0] <= numbers.e <= RSA_EXPONENT[1] or numbers.e % 2 == 0:
        raise Unprocessable("the RSA exponent is not an odd number from 65537", remedy=REMEDY, code="weak-key")
    if numbers.n % 2 == 0 or gcd(numbers.n, _SMALL_PRIMES) != 1:
        raise Unprocessable("the RSA modulus has a small factor", remedy=REMEDY, code="weak-key")
