"""Base URLs and addresses: what an endpoint may be."""

import socket
from typing import Any

import pytest

from firstlight.files.addresses import (
    AddressError,
    EndpointAddress,
    check_addresses,
    host_and_port,
    parse_base_url,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "url", "host", "port"),
    [
        ("https://models.example.org/v1/", "https://models.example.org/v1", "models.example.org", 443),
        ("http://gpu-1:8000/v1", "http://gpu-1:8000/v1", "gpu-1", 8000),
        ("http://[2001:db8::1]:8000", "http://[2001:db8::1]:8000", "2001:db8::1", 8000),
    ],
)
def test_a_base_url_is_kept_without_its_last_slash(text: str, url: str, host: str, port: int) -> None:
    assert parse_base_url(text) == url
    assert host_and_port(url) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host:8000",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://user:secret@host/v1",
        "http://@host/v1",
        "http://host:99999/v1",
        "http://host:0/v1",
        "http://host:x/v1",
        "http://host/v1?a=1",
        "http://host/v1?",
        "http://host/v1#a",
        "http://host/v1 ",
        "http://ho st/v1",
        "http://host\r\nX: 1/v1",
        "http://host\\@other/v1",
        "http://höst/v1",
        "http://host/../v1%2e",
        "http://host//v1",
        "http://[::1/v1",
        "http://host/" + "a" * 300,
    ],
)
def test_what_is_no_base_url_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_base_url(text)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


LOCAL = [
    "127.0.0.1",
    "127.8.9.10",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
    "fec0::1",
    "64:ff9b:1::7f00:1",
    "192.88.99.1",
    "3fff::1",
    "5f00::1",
    "192.0.0.8",
    "::ffff:0:127.0.0.1",
]


@pytest.mark.parametrize("address", LOCAL)
def test_local_addresses_need_an_administrators_leave(address: str) -> None:
    with pytest.raises(AddressError, match="loopback, private or link-local"):
        check_addresses("host", ["93.184.216.34", address], allow_private=False)
    assert check_addresses("host", [address, address], allow_private=True) == [address]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0"])
def test_what_is_no_servers_address_is_never_let_through(address: str) -> None:
    with pytest.raises(AddressError, match="no server's address"):
        check_addresses("host", [address], allow_private=True)


def test_public_addresses_are_let_through() -> None:
    found = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"]
    assert check_addresses("host", found, allow_private=False) == found


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::ffff:127.0.0.1]"]
)
def test_odd_spellings_of_loopback_are_loopback(host: str) -> None:
    with pytest.raises(AddressError, match="loopback"):
        resolve(parse_base_url(f"http://{host}:8000/v1"), allow_private=False)
    assert resolve(f"http://{host}:8000/v1", allow_private=True)


def test_a_name_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(AddressError, match="nowhere does not resolve"):
        resolve("http://nowhere/v1", allow_private=True)


def test_a_key_does_not_show() -> None:
    assert "sesame" not in repr(EndpointAddress("row", "http://host", "sesame"))
