"""The real children: their order, what they are given, and what they must not be given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ironroot.app.config import STORE_VARIABLE, Config, Listen, StoreConfig
from ironroot.app.datadir import DataDir
from ironroot.app.supervisor.plan import Site, children
from ironroot.app.supervisor.preflight import Binaries
from ironroot.app.supervisor.spec import ChildSpec, Connects

URL = "postgresql+asyncpg://ironroot:hunter2@db/ironroot"
SITE = Site(
    config=Config(listen=Listen("0.0.0.0", 9000), store=StoreConfig(URL)),
    data=DataDir(Path("/d")),
    runtime=Path("/r"),
    descriptors={"api": 7, "host": 8},
    binaries=Binaries(Path("/bin/envoy"), Path("/bin/nats-server")),
    nats_port=4222,
    demo=25,
)


def plan(site: Site = SITE) -> dict[str, ChildSpec]:
    return {spec.name: spec for spec in children(site)}


def test_doors_stop_before_what_is_behind_them() -> None:
    order = list(plan())
    assert order == ["nats", "platform", "authz-1", "authz-2", "intake", "envoy", "simulator"]


def test_no_child_waits_for_one_that_waits_for_it() -> None:
    specs = plan()
    done: set[str] = set()
    while len(done) < len(specs):
        # A milestone is reached while its child still waits for others; readiness is not.
        ready = {
            name
            for name, spec in specs.items()
            if name not in done and all(a.endswith(":prepared") or a in done for a in spec.after)
        }
        assert ready
        done |= ready


def test_password_of_the_store_is_in_no_argv_and_goes_to_those_alone_who_need_it() -> None:
    specs = plan()
    assert not [name for name, spec in specs.items() if "hunter2" in " ".join(spec.argv)]
    assert "hunter2" not in repr(list(specs.values()))
    assert {name for name, spec in specs.items() if spec.env.get(STORE_VARIABLE)} == {
        "platform",
        "authz-1",
        "authz-2",
        "intake",
    }


def test_only_the_platform_gets_the_listening_sockets() -> None:
    specs = plan()
    assert {name for name, spec in specs.items() if spec.pass_fds} == {"platform"}
    assert specs["platform"].env["IRONROOT_API_FD"] == "7"


def test_python_children_import_nothing_from_where_the_platform_was_started() -> None:
    for name in ("platform", "authz-1", "intake", "simulator"):
        assert "-P" in plan()[name].argv[:2]


def test_broker_is_ready_when_both_its_ports_answer() -> None:
    assert plan()["nats"].probe == Connects((("127.0.0.1", 4222), ("127.0.0.1", 9002)))


def test_no_fleet_without_demo() -> None:
    assert "simulator" not in plan(replace(SITE, demo=0))
    assert "25" in plan()["simulator"].argv
