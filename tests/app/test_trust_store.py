"""`ironroot ca trust`: this machine's stores, with the real tools where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ironroot.adapters.envoy.settings import Limits
from ironroot.app.trust_store import Done, Machine, Person, SystemStore, add, databases, remove, roots, trusted
from ironroot.core.errors import Malformed
from tests.adapters.envoy.front import Front, front
from tests.support import tls

CERTUTIL = shutil.which("certutil")
CHROMIUM = shutil.which("chromium")
needs_certutil = pytest.mark.skipif(CERTUTIL is None, reason="certutil (libnss3-tools) is not installed")

ROOT = tls.authority("Ironroot test root")
OTHER = tls.authority("Ironroot test root")
PEM = ROOT.pem.decode()
LEAF = tls.server("server", ROOT).pem.decode()


def command(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a home, a system store and a command that makes it effective; root on it."""
    tools, store, home = tmp_path / "bin", tmp_path / "ca", tmp_path / "home"
    for directory in (tools, store, home):
        directory.mkdir()
    command(tools, "update-ca", f"ls {store} > {tmp_path}/effective")
    if CERTUTIL:
        (tools / "certutil").symlink_to(CERTUTIL)
    person = Person(home, os.geteuid(), os.getegid())
    return Machine(person, (SystemStore(store, ("update-ca",)),), superuser=True, search=str(tools))


def firefox(machine: Machine, name: str = "abc.default") -> Path:
    profile = machine.person.home / ".mozilla" / "firefox" / name
    profile.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{profile}"], check=True)
    return profile


def listed(database: Path) -> str:
    return subprocess.run(
        ["certutil", "-L", "-d", f"sql:{database}"], capture_output=True, text=True, check=True
    ).stdout


def by_store(done: list[Done]) -> dict[str, bool]:
    return {one.store: one.done for one in done}


def test_system_store_gets_the_root_and_gives_it_back(machine: Machine, tmp_path: Path) -> None:
    assert by_store(add(PEM, machine))["system"]
    (name,) = (tmp_path / "effective").read_text().split()
    assert name.startswith("ironroot-")
    assert (tmp_path / "ca" / name).read_text() == PEM
    assert trusted(PEM, machine)["system"]
    assert by_store(remove(PEM, machine))["system"]
    assert (tmp_path / "effective").read_text() == ""
    assert not trusted(PEM, machine)["system"]


def test_removing_one_platform_leaves_the_other(machine: Machine) -> None:
    add(PEM, machine)
    add(OTHER.pem.decode(), machine)
    remove(PEM, machine)
    assert trusted(OTHER.pem.decode(), machine)["system"]
    assert by_store(remove(PEM, machine))["system"]  # once more is no error


def test_an_ordinary_user_is_told_to_use_sudo(machine: Machine, tmp_path: Path) -> None:
    (system, *_) = add(PEM, replace(machine, superuser=False))
    assert (system.store, system.done) == ("system", False)
    assert "sudo" in system.detail
    assert not list((tmp_path / "ca").iterdir())


def test_failing_command_is_reported_with_its_words(machine: Machine, tmp_path: Path) -> None:
    command(tmp_path / "bin", "update-ca", "echo disk is read-only >&2; exit 3")
    (system, *_) = add(PEM, machine)
    assert (system.done, system.detail) == (False, "update-ca failed: disk is read-only")


def test_without_certutil_the_package_is_named(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bin" / "certutil").unlink(missing_ok=True)
    browsers = add(PEM, machine)[-1]
    assert not browsers.done
    assert "libnss3-tools" in browsers.detail


def test_unknown_system_is_said(machine: Machine) -> None:
    assert not by_store(add(PEM, replace(machine, system=())))["system"]


@needs_certutil
def test_firefox_profiles_get_the_root_and_give_it_back(machine: Machine) -> None:
    profiles = [firefox(machine), firefox(machine, "xyz.work")]
    assert by_store(add(PEM, machine)) == {"system": True, "Firefox (abc.default)": True, "Firefox (xyz.work)": True}
    for profile in profiles:
        (line,) = [line for line in listed(profile).splitlines() if "Ironroot root" in line]
        assert line.split()[-1] == "C,,"  # servers alone: neither mail nor code
    assert all(trusted(PEM, machine).values())
    remove(PEM, machine)
    assert "Ironroot" not in "".join(listed(profile) for profile in profiles)


@needs_certutil
def test_damaged_profile_does_not_stop_the_others(machine: Machine) -> None:
    good, bad = firefox(machine), firefox(machine, "bad")
    (bad / "cert9.db").write_bytes(b"garbage" * 100)
    done = by_store(add(PEM, machine))
    assert done["Firefox (abc.default)"]
    assert not done["Firefox (bad)"]
    assert "Ironroot" in listed(good)


@needs_certutil
def test_chromium_that_was_never_started_gets_a_database(machine: Machine, tmp_path: Path) -> None:
    command(tmp_path / "bin", "chromium", "exit 0")
    assert by_store(add(PEM, machine))["Chromium"]
    ((_, database),) = databases(machine.person)
    assert "Ironroot" in listed(database)
    assert database.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("pem", ["", "x", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", LEAF])
def test_what_is_no_certificate_is_refused(pem: str) -> None:
    with pytest.raises(Malformed):
        roots(pem)


def test_several_roots_each_have_a_name_of_their_own() -> None:
    found = roots(PEM + OTHER.pem.decode())
    assert len({root.name for root in found} | {root.file for root in found}) == 4
    assert found[0].fingerprint == ROOT.fingerprint


@pytest.fixture
def console() -> Iterator[Front]:
    with front(Limits()) as running:
        yield running


@pytest.mark.skipif(CHROMIUM is None or CERTUTIL is None, reason="Chromium or certutil is not installed")
def test_a_real_chromium_accepts_the_console_after_it_and_not_before(
    machine: Machine, console: Front, tmp_path: Path
) -> None:
    command(tmp_path / "bin", "chromium", "exit 0")

    def page() -> str:
        return subprocess.run(
            [
                str(CHROMIUM),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--virtual-time-budget=3000",
                f"--user-data-dir={tmp_path}/profile",
                "--dump-dom",
                f"https://localhost:{console.port('console')}/",
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(machine.person.home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        ).stdout

    assert "x-ironroot-door" not in page()
    add(console.ca.pem.decode(), machine)
    assert "x-ironroot-door" in page()
