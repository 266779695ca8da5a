"""`device`, `group`, `claim`: who is in the fleet, what it may do, what it shall do."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ironroot.app.cli.shared import (
    DEFAULT_DATA,
    Ca,
    CursorOption,
    Data,
    Json,
    Limit,
    Server,
    ago,
    api,
    console,
    fail,
    pairs,
    show,
    table,
    trust,
)
from ironroot.edge.problems import problem

DeviceArgument = Annotated[str, typer.Argument(metavar="ID", help="device id")]
ReasonOption = Annotated[str, typer.Option("--reason", help="why; it goes into the record")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    device = typer.Typer(help="devices: list, show, contain, instruct", no_args_is_help=True)
    device.command("list")(list_devices)
    device.command("show")(show_device)
    device.command("register")(register_device)
    device.command("quarantine")(quarantine)
    device.command("release")(release)
    device.command("revoke")(revoke)
    device.command("retire")(retire)
    device.command("config")(device_config)
    device.command("command")(device_command)
    device.command("timeline")(timeline)
    app.add_typer(device, name="device")
    group = typer.Typer(help="groups of devices", no_args_is_help=True)
    group.command("list")(list_groups)
    group.command("create")(create_group)
    group.command("add")(group_add)
    group.command("remove")(group_remove)
    app.add_typer(group, name="group")
    claim = typer.Typer(help="one-time claims: how a device enrols the first time", no_args_is_help=True)
    claim.command("create")(create_claim)
    claim.command("list")(list_claims)
    app.add_typer(claim, name="claim")


def list_devices(
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    q: Annotated[str | None, typer.Option("--search", help="part of the id")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="only this type")] = None,
    group: Annotated[str | None, typer.Option("--group", help="only members of this group")] = None,
    state: Annotated[str | None, typer.Option("--trust", help="only in this trust state")] = None,
    connected: Annotated[bool | None, typer.Option("--connected/--offline", help="only connected, or only not")] = None,
    limit: Limit = 100,
    cursor: CursorOption = None,
) -> None:
    """The fleet."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call(
            "GET",
            "/devices",
            q=q,
            type=type_,
            group=group,
            trust=state,
            connected=connected,
            limit=limit,
            cursor=cursor,
        )
    show(answer, json=json, human=_devices)


def _devices(answer: dict[str, Any]) -> None:
    table(
        ["id", "type", "trust", "connected", "last seen", "certificate until", "groups"],
        [
            (
                d["id"],
                d["type"],
                trust(d["trust"]["state"]),
                "yes" if d["connected"] else "no",
                ago(d["last_seen"]),
                d["certificate"]["not_after"][:10] if d["certificate"] else None,
                ", ".join(d["groups"]),
            )
            for d in answer["items"]
        ],
        "no devices; enrol the first with `ironroot claim create --device ID`",
    )
    if answer["next"]:
        console.print(Text(f"more: --cursor {answer['next']}", style="dim"))


def show_device(
    id_: DeviceArgument, data: Data = DEFAULT_DATA, json: Json = False, server: Server = None, ca: Ca = None
) -> None:
    """One device: trust with its reasons, certificate, connection, telemetry."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("GET", f"/devices/{id_}")
    show(answer, json=json, human=_device)


def _device(d: dict[str, Any]) -> None:
    certificate = d["certificate"]
    pairs(
        [
            ("device", f"{d['id']}  ({d['type']}, {d['lifecycle']})"),
            ("trust", trust(d["trust"]["state"]) + Text(f"  since {d['trust']['since']}")),
            *((" ", f"{r['text']}" + (f"  (fact {r['fact']})" if r["fact"] else "")) for r in d["trust"]["reasons"]),
            ("certificate", f"{certificate['serial']} until {certificate['not_after']}" if certificate else None),
            ("connected", "yes" if d["connected"] else "no"),
            ("last seen", ago(d["last_seen"])),
            *((f"  {name}", f"{v['value']}  {ago(v['at'])}") for name, v in d["telemetry"].items()),
        ],
    )


def register_device(
    id_: DeviceArgument,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    type_: Annotated[str, typer.Option("--type", help="what kind of device")] = "device",
    group: Annotated[list[str] | None, typer.Option("--group", help="a group to join; may be repeated")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE; may be repeated")] = None,
) -> None:
    """Make a device known."""
    labels = dict(item.partition("=")[::2] for item in label or [])
    body = {"id": id_, "type": type_, "groups": group or [], "labels": labels}
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("POST", "/devices", body)
    show(answer, json=json, human=_device)


def quarantine(
    id_: DeviceArgument,
    reason: ReasonOption,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    expires: Annotated[str | None, typer.Option("--expires", help="ends by itself after 90s, 12h, 30d")] = None,
) -> None:
    """Close every door to a device but its own status, at once."""
    _act(id_, "quarantine", {"reason": reason, "expires": expires}, data, server, ca, json=json)


def release(
    id_: DeviceArgument,
    reason: ReasonOption,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """End a device's quarantine."""
    _act(id_, "release", {"reason": reason}, data, server, ca, json=json)


def revoke(
    id_: DeviceArgument,
    reason: Annotated[str, typer.Option("--reason", help="RFC 5280: keyCompromise, cessationOfOperation, ...")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    comment: Annotated[str, typer.Option("--comment", help="why, in words")] = "",
) -> None:
    """Revoke all certificates of a device: it is cut off at once, and needs a new claim to come back."""
    _act(id_, "revoke", {"reason": reason, "comment": comment}, data, server, ca, json=json)


def retire(
    id_: DeviceArgument,
    reason: ReasonOption,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """End a device's life, for good."""
    _act(id_, "retire", {"reason": reason}, data, server, ca, json=json)


def _act(
    id_: str,
    verb: str,
    body: dict[str, Any],
    data: Path,
    server: str | None,
    ca: Path | None,
    *,
    json: bool,
) -> None:
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("POST", f"/devices/{id_}/{verb}", {k: v for k, v in body.items() if v is not None})
    show(answer, json=json, human=_device)


def _object(text: str, what: str, *, json: bool) -> dict[str, Any]:
    if text.startswith("@"):
        text = Path(text[1:]).read_text()
    try:
        value = jsonlib.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        remedy = "for example '{\"interval_s\": 10}', or @FILE"
        fail(problem(400, "malformed", f"{what} is a JSON object", remedy), json=json)
    return value


def device_config(
    id_: DeviceArgument,
    config: Annotated[str | None, typer.Argument(help="JSON object, or @FILE; shows what is desired without")] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """Show or set the configuration a device shall have."""
    with api(data, server, ca, json=json) as calls:
        if config is None:
            answer = calls.call("GET", f"/devices/{id_}")["config"]
        else:
            answer = calls.call(
                "PUT", f"/devices/{id_}/config", {"config": _object(config, "a configuration", json=json)}
            )
    show(answer, json=json, human=lambda value: pairs((value or {"config": "none desired"}).items()))


def device_command(
    id_: DeviceArgument,
    name: Annotated[str, typer.Argument(help="what to do: reboot, identify, ...")],
    args: Annotated[str, typer.Option("--args", help="JSON object, or @FILE")] = "{}",
    expires: Annotated[str, typer.Option("--expires", help="give up after 90s, 12h, 30d")] = "1h",
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """Have a device do something once; sent until it answers."""
    body = {"name": name, "args": _object(args, "args", json=json), "expires": expires}
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("POST", f"/devices/{id_}/commands", body)
    show(answer, json=json, human=lambda value: pairs(value.items()))


def timeline(
    id_: DeviceArgument,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    limit: Limit = 30,
    cursor: CursorOption = None,
) -> None:
    """The facts about a device, newest first."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("GET", f"/devices/{id_}/facts", limit=limit, cursor=cursor)
    show(
        answer,
        json=json,
        human=lambda value: table(
            ["fact", "at", "kind", "actor", "body"],
            [(f["seq"], f["at"], f["kind"], f["actor"], jsonlib.dumps(f["body"])) for f in value["items"]],
            "no facts yet",
        ),
    )


def list_groups(
    data: Data = DEFAULT_DATA, json: Json = False, server: Server = None, ca: Ca = None, limit: Limit = 100
) -> None:
    """Groups, with the number of devices in each."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("GET", "/groups", limit=limit)
    show(
        answer,
        json=json,
        human=lambda value: table(
            ["name", "devices"], [(g["name"], g["devices"]) for g in value["items"]], "no groups yet"
        ),
    )


def create_group(
    name: Annotated[str, typer.Argument()],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """Make a group."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("POST", "/groups", {"name": name})
    show(answer, json=json, human=lambda value: pairs(value.items()))


def group_add(
    name: Annotated[str, typer.Argument()],
    id_: DeviceArgument,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """Put a device into a group."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("PUT", f"/groups/{name}/devices/{id_}")
    show(answer, json=json, human=lambda value: pairs(value.items()))


def group_remove(
    name: Annotated[str, typer.Argument()],
    id_: DeviceArgument,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """Take a device out of a group."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("DELETE", f"/groups/{name}/devices/{id_}")
    show(answer, json=json, human=lambda value: pairs(value.items()))


def create_claim(
    device: Annotated[str, typer.Option("--device", help="whom it is for; registered when new")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    expires: Annotated[str, typer.Option("--expires", help="usable for 90s, 12h, 30d")] = "24h",
    type_: Annotated[str | None, typer.Option("--type", help="type of a device registered now")] = None,
) -> None:
    """A secret that lets one device enrol once. It is shown this one time."""
    body = {"device": device, "expires": expires} | ({"type": type_} if type_ else {})
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("POST", "/claims", body)
    show(answer, json=json, human=lambda value: pairs(value.items()))


def list_claims(
    data: Data = DEFAULT_DATA, json: Json = False, server: Server = None, ca: Ca = None, limit: Limit = 100
) -> None:
    """Claims and their use; never their secrets."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("GET", "/claims", limit=limit)
    show(
        answer,
        json=json,
        human=lambda value: table(
            ["id", "device", "expires", "state"],
            [(c["id"], c["device"], c["expires_at"], c["state"]) for c in value["items"]],
            "no claims; make one with `ironroot claim create --device ID`",
        ),
    )
