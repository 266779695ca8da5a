from __future__ import annotations

import json
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironroot.adapters.nats import binary, config
from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.adapters.nats.nkey import AccountKey, _decode, _encode
from ironroot.core.errors import Malformed, Misconfigured
from tests.support.nats import Hall


@pytest.fixture
def place(tmp_path: Path) -> Hall:
    return Hall(tmp_path)


def test_nats_server_accepts_it(place: Hall) -> None:
    for durability in ("process", "power"):
        settings = replace(place.settings, durability=durability)
        config.write(place.directory / "nats.conf", settings, place.credentials)
        done = subprocess.run(
            [binary.find(), "-t", "-c", place.directory / "nats.conf"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_durability_against_power_loss_waits_for_the_disk(place: Hall) -> None:
    text = config.render(replace(place.settings, durability="power"), place.credentials)
    assert json.loads(text)["jetstream"]["sync_interval"] == "always"


def test_secrets_are_readable_by_their_owner_alone(place: Hall) -> None:
    for name in ("nats.conf", "nats.json"):
        assert stat.S_IMODE((place.directory / name).stat().st_mode) == 0o600


def test_only_loopback_takes_inner_connections_and_nothing_monitors(place: Hall) -> None:
    value = json.loads(config.render(replace(place.settings, mqtt_address="::"), place.credentials))
    assert value["listen"].startswith("127.0.0.1:")
    assert value["mqtt"]["listen"] == f"[::]:{place.port}"
    assert not {"http", "https", "websocket", "cluster", "leafnodes", "gateway"} & value.keys()


def test_devices_must_show_a_certificate_over_tls_1_3(place: Hall) -> None:
    tls = json.loads(config.render(place.settings, place.credentials))["mqtt"]["tls"]
    assert (tls["verify"], tls["min_version"]) == (True, "1.3")


@pytest.mark.parametrize("path", ['/tmp/a"b', "/tmp/a\\b", "/tmp/a\nb", "relative"])
def test_a_path_that_could_be_read_as_configuration_is_refused(place: Hall, path: str) -> None:
    with pytest.raises(Misconfigured):
        config.render(replace(place.settings, store=Path(path)), place.credentials)


def test_credentials_survive_the_file(place: Hall) -> None:
    found = Credentials.read(place.directory / "nats.json")
    assert found.issuer.public == place.credentials.issuer.public
    assert all(found.password(role) == place.credentials.password(role) for role in Role)
    assert place.credentials.password(Role.APP) not in repr(found)


def test_broken_credentials_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "nats.json").write_text("{")
    for name in ("nats.json", "absent.json"):
        with pytest.raises(Misconfigured):
            Credentials.read(tmp_path / name)


def test_reload_without_a_broker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        config.reload(tmp_path / "nats.pid")


def test_a_nats_server_with_known_holes_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.10'\n")
    old.chmod(0o755)
    with pytest.raises(Misconfigured, match=r"2\.9\.10"):
        binary.find(str(old))
    old.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(Misconfigured):
        binary.find(str(old))


def test_keys_have_the_published_form() -> None:
    """The vector of the reference implementation's documentation: a user's seed and public key."""
    raw = _decode("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY")
    public = Ed25519PrivateKey.from_private_bytes(raw[2:]).public_key().public_bytes_raw()
    assert _encode(bytes([20 << 3]) + public) == "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_an_account_key_survives_its_seed() -> None:
    key = AccountKey(b"\x01" * 32)
    assert key.public.startswith("A")
    assert key.seed.reveal().startswith(b"SA")
    assert AccountKey.from_seed(key.seed.reveal().decode()).public == key.public


@pytest.mark.parametrize("seed", ["", "SAAA", "S" + "A" * 57, "UAAAAA", "ä"])
def test_what_is_no_seed_is_refused(seed: str) -> None:
    with pytest.raises(Malformed):
        AccountKey.from_seed(seed)
