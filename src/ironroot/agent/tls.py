"""The one factory of the agent's TLS contexts: TLS 1.3, server verified, names checked.

The single exception is `bootstrap_context`, used once to fetch the root that a pinned fingerprint then accepts or
refuses (RFC 7030 section 4.1.1); nothing secret is ever sent through it.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from ironroot.core.errors import Misconfigured


def client_context(roots: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A context that trusts `roots` alone (None: the system's roots) and shows `certificate` where one is given.

    Raises Misconfigured when a file is missing, unreadable, or key and certificate do not belong together.
    """
    context = _base()
    try:
        if roots is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=str(roots))
        if certificate is not None:
            load_identity(context, certificate, key)
    except FileNotFoundError as e:
        missing = next((str(path) for path in (roots, certificate, key) if path is not None and not path.exists()), "?")
        raise Misconfigured(f"no such file: {missing}", remedy="enrol the device first") from e
    except (OSError, ValueError) as e:  # ssl.SSLError is an OSError
        raise Misconfigured(f"roots, certificate or key cannot be used: {e}", remedy="enrol the device again") from e
    return context


def load_identity(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Show `certificate` on connections made from now on. Raises ssl.SSLError when the key is not its own."""

    def no_passphrase() -> str:
        raise ValueError("the private key is encrypted")  # a prompt would hang a device for ever

    context.load_cert_chain(str(certificate), None if key is None else str(key), password=no_passphrase)


def bootstrap_context() -> ssl.SSLContext:
    """A context that verifies nobody: for `cacerts` before a pinned fingerprint decides, and for nothing else."""
    context = _base()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _base() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies and checks names unless told otherwise
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_TICKET  # a resumed session would skip the server's look at the certificate
    return context
