import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Unprocessable
from ironroot.domains.pki import names


def test_server_names_are_hosts_and_addresses_each_once() -> None:
    found = names.server_names(["localhost", "127.0.0.1", "::1", "LocalHost", "a.example"])
    assert [str(name.value) for name in found] == ["localhost", "127.0.0.1", "::1", "a.example"]
    assert isinstance(found[1], x509.IPAddress)


@pytest.mark.parametrize(
    "name",
    ["", "*", "*.example", "a..b", "-a", "a-", "a b", "a/b", "ü", "a." * 130 + "a", "a\0.example", "fe80::1%eth0/"],
)
def test_what_is_no_host_is_refused(name: str) -> None:
    with pytest.raises(Unprocessable):
        names.server_names([name])


def test_a_server_has_some_names_and_not_too_many() -> None:
    with pytest.raises(Unprocessable):
        names.server_names([])
    with pytest.raises(Unprocessable):
        names.server_names([f"h{i}" for i in range(33)])


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        (found,) = names.server_names([text])
    except Unprocessable:
        return
    assert str(found.value) == text.lower() or isinstance(found, x509.IPAddress)
