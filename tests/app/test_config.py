"""Configuration: safe defaults, unknown keys refused, secrets masked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ironroot.app.config import DEFAULT_PORTS, load
from ironroot.core.errors import Misconfigured


def write(data: Path, text: str) -> Path:
    (data / "ironroot.toml").write_text(text)
    return data


def test_defaults_are_loopback_and_the_standard_ports(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.listen.address == "127.0.0.1"
    assert config.listen.ports == DEFAULT_PORTS
    assert config.console_url() == "https://localhost:8443"
    assert config.plain_url() == "http://127.0.0.1:8080"
    assert config.server_names() == ("localhost", "127.0.0.1", "::1")


def test_file_then_command_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[listen]\naddress = "10.0.0.5"\nport_base = 9000\nnames = ["iot.example"]\n[pki]\ndevice_lifetime = "12h"\n',
    )
    config = load(tmp_path, port_base=9500)
    assert config.listen.ports == (9500, 9501, 9502, 9503, 9504, 9505)
    assert config.pki.device_lifetime == timedelta(hours=12)
    assert config.server_names() == ("localhost", "127.0.0.1", "::1", "10.0.0.5", "iot.example")
    assert config.console_url() == "https://iot.example:9500"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[listen]\nadress = 'x'", "adress"),
        ("[nonsense]\na = 1", "nonsense"),
        ("[pki]\ndevice_lifetime = 90", "device_lifetime"),
        ("[pki]\ndevice_lifetime = '90 days'", "device_lifetime"),
        ("[store]\ndurability = 'hope'", "durability"),
        ("not toml at all [", "cannot be read"),
    ],
)
def test_mistakes_are_refused_and_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(write(tmp_path, text))
    assert named in caught.value.message
    assert caught.value.remedy


def test_the_database_password_is_masked(tmp_path: Path) -> None:
    config = load(tmp_path, store_url="postgresql+asyncpg://ironroot:hunter2@db/ironroot")
    shown = str(config.masked())
    assert "hunter2" not in shown
    assert "@db/ironroot" in shown
    assert config.masked()["pki"]["device_lifetime"] == "7776000s"
