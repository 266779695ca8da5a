"""The names certificates carry. A device's name is its id; a server's are DNS names and addresses, spelled strictly.

A device's alternative name repeats its subject as a directoryName: verifiers that demand one (pyca's, by default)
find it, and it can never be taken for a host, a mailbox or a URI. Wildcards are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

from ironroot.core.errors import Unprocessable
from ironroot.core.ids import DeviceId

MAX_SERVER_NAMES = 32
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def common_name(text: str) -> x509.Name:
    """A subject of one common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def authority_name(text: str, qualifier: str) -> x509.Name:
    """A CA's subject. The dnQualifier keeps CAs of two installations apart in one trust store (X.520 5.2.8)."""
    return x509.Name(
        [x509.NameAttribute(NameOID.DN_QUALIFIER, qualifier), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def device_names(device: DeviceId) -> tuple[x509.GeneralName, ...]:
    """A device's alternative names."""
    return (x509.DirectoryName(common_name(device)),)


def server_names(names: Sequence[str]) -> tuple[x509.GeneralName, ...]:
    """A server's alternative names, each once, in the order given. Raises Unprocessable."""
    if not 1 <= len(names) <= MAX_SERVER_NAMES:
        raise Unprocessable(f"a server has 1 to {MAX_SERVER_NAMES} names", remedy="name the hosts it is reached by")
    return tuple(dict.fromkeys(_server_name(name) for name in names))


def _server_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    host = name.lower()
    if len(host) > 253 or _DNS.fullmatch(host) is None:
        raise Unprocessable(f"not a host name: {name[:70]!r}", remedy="use DNS names or addresses, no wildcards")
    return x509.DNSName(host)


def text(name: x509.Name) -> str:
    """A name as people read it (RFC 4514)."""
    return name.rfc4514_string({NameOID.DN_QUALIFIER: "dnQualifier"})
