"""Where requests of ours may go: the address of an endpoint is checked when it is saved and at every connection.

Names and odd spellings of numbers (2130706433, 127.1, 0x7f000001) are resolved first and every address that
comes back is judged, those that wrap an IPv4 address by what they wrap. A connection is made to an address
that was judged, never to the name again, so a name that changes its answer in between gains nothing. Pure
Python: the engine uses it too.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MAX_URL_CHARACTERS = 300
PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
#: Not for servers of the internet, and unknown as such to `ipaddress`: relays of 6to4, protocol assignments, site-local
#: addresses, documentation (IANA's registries of special-purpose addresses).
_SPECIAL = [
    ipaddress.ip_network(text) for text in ("192.88.99.0/24", "192.0.0.0/24", "fec0::/10", "3fff::/20")
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressError(ValueError):
    """An address that requests may not go to; one line with the value and the remedy."""


@dataclass(frozen=True)
class EndpointAddress:
    """How to reach one server.

    name: of the administrator's row.
    base_url: what `/completions` is appended to, as `parse_base_url` returns it.
    key: sent as a bearer token; "" sends none.
    parallel: requests in flight at most.
    allow_private: loopback, private and link-local addresses are let through too.
    """

    name: str
    base_url: str
    key: str = field(default="", repr=False)
    parallel: int = 8
    allow_private: bool = False


def parse_base_url(text: str) -> str:
    """`https://host[:port][/path]` without a slash at its end.

    Raises AddressError: another scheme, a user or password in it, a query, a fragment, characters that do not
    belong.
    """
    shown = f"{text!r:.120}"
    if len(text) > MAX_URL_CHARACTERS or not text.isascii() or not text.isprintable() or " " in text:
        raise AddressError(
            f"{shown} is no base URL: at most {MAX_URL_CHARACTERS} plain characters, such as https://host:8000/v1"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise AddressError(f"{shown} is no base URL: {error}; write https://host:8000/v1") from error
    if parts.scheme not in PORTS:
        raise AddressError(f"{shown}: the scheme is {parts.scheme!r}, only http and https are allowed")
    if "@" in parts.netloc:
        raise AddressError("a base URL holds no user or password: name the variable of the key instead")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise AddressError(f"{shown} has a query or a fragment: a base URL ends with its path, such as /v1")
    host = parts.netloc.rsplit(":", 1)[0] if port is not None else parts.netloc
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(parts.path) or port == 0:
        raise AddressError(f"{shown} is no base URL: write https://host:8000/v1")
    return text.rstrip("/")


def host_and_port(base_url: str) -> tuple[str, int]:
    """Of a URL that `parse_base_url` let through."""
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def check_addresses(host: str, resolved: Iterable[str], *, allow_private: bool) -> list[str]:
    """The addresses that `host` resolved to, where every one of them may be connected to.

    Raises AddressError: one of them may not, or there is none.
    """
    addresses = list(dict.fromkeys(resolved))
    if not addresses:
        raise AddressError(f"{host} has no address: check the spelling")
    for text in addresses:
        # a zone (fe80::1%eth0) names an interface of this machine
        address = _unwrapped(ipaddress.ip_address(text.split("%")[0]))
        if address.is_multicast or address.is_unspecified:
            raise AddressError(f"{host} resolves to {text}, which is no server's address")
        special = address.is_reserved or any(address in network for network in _SPECIAL)
        if not allow_private and (special or not address.is_global):
            raise AddressError(
                f"{host} resolves to {text}, a loopback, private or link-local address: "
                "an administrator has to allow these for the endpoint"
            )
    return addresses


def resolve(base_url: str, *, allow_private: bool) -> list[str]:
    """Resolve and check the host of a base URL; the engine does the same without blocking.

    Raises AddressError: it does not resolve, or to what may not be connected to.
    """
    host, port = host_and_port(base_url)
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"{host} does not resolve: check the spelling and the name server") from error
    return check_addresses(host, (str(answer[4][0]) for answer in answers), allow_private=allow_private)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address within one of IPv6 that leads to it: mapped, compatible, 6to4, Teredo, NAT64."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or address
