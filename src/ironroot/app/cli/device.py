"""`device`, `group`, `claim`: who is in the fleet, what it may do, what it shall do."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ironroot.app.cli.command import command
from ironroot.app.cli.shared import CursorOption, Limit, ago, console, facts, pairs, table, trust
from ironroot.app.client import Api
from ironroot.core.errors import Malformed

DeviceArgument = Annotated[str, typer.Argument(metavar="ID", help="device id")]
ReasonOption = Annotated[str, typer.Option("--reason", help="why; it goes into the record")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="name of the group")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for name, about, commands in (
        (
            "device",
            "devices: list, show, contain, instruct",
            {
                "list": list_devices,
                "show": show_device,
                "register": register_device,
                "quarantine": quarantine,
                "release": release,
                "revoke": revoke,
                "retire": retire,
                "config": device_config,
                "command": device_command,
                "timeline": timeline,
            },
        ),
        (
            "group",
            "groups of devices",
            {"list": list_groups, "create": create_group, "add": group_add, "remove": group_remove},
        ),
        (
            "claim",
            "one-time claims: how a device enrols the first time",
            {"create": create_claim, "list": list_claims},
        ),
    ):
        part = typer.Typer(help=about, no_args_is_help=True)
        for verb, function in commands.items():
            part.command(verb)(function)
        app.add_typer(part, name=name)


def _show(value: dict[str, Any] | None) -> None:
    pairs((value or {"": "nothing yet"}).items())


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


def _groups(answer: dict[str, Any]) -> None:
    table(["name", "devices"], [(g["name"], g["devices"]) for g in answer["items"]], "no groups yet")


def _claims(answer: dict[str, Any]) -> None:
    table(
        ["id", "device", "expires", "state"],
        [(c["id"], c["device"], c["expires_at"], c["state"]) for c in answer["items"]],
        "no claims; make one with `ironroot claim create --device ID`",
    )


@command(_devices)
def list_devices(
    api: Api,
    q: Annotated[str | None, typer.Option("--search", help="part of the id")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="only this type")] = None,
    group: Annotated[str | None, typer.Option("--group", help="only members of this group")] = None,
    state: Annotated[str | None, typer.Option("--trust", help="only in this trust state")] = None,
    connected: Annotated[bool | None, typer.Option("--connected/--offline", help="only connected, or only not")] = None,
    limit: Limit = 100,
    cursor: CursorOption = None,
) -> Any:
    """The fleet."""
    wanted = {"q": q, "type": type_, "group": group, "trust": state, "connected": connected}
    return api.call("GET", "/devices", **wanted, limit=limit, cursor=cursor)


@command(_device)
def show_device(api: Api, id_: DeviceArgument) -> Any:
    """One device: trust with its reasons, certificate, connection, telemetry."""
    return api.call("GET", f"/devices/{id_}")


@command(_device)
def register_device(
    api: Api,
    id_: DeviceArgument,
    type_: Annotated[str, typer.Option("--type", help="what kind of device")] = "device",
    group: Annotated[list[str] | None, typer.Option("--group", help="a group to join; may be repeated")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE; may be repeated")] = None,
) -> Any:
    """Make a device known."""
    labels = dict(item.partition("=")[::2] for item in label or [])
    return api.call("POST", "/devices", {"id": id_, "type": type_, "groups": group or [], "labels": labels})


@command(_device)
def quarantine(
    api: Api,
    id_: DeviceArgument,
    reason: ReasonOption,
    expires: Annotated[str | None, typer.Option("--expires", help="ends by itself after 90s, 12h, 30d")] = None,
) -> Any:
    """Close every door to a device but its own status, at once."""
    return api.call("POST", f"/devices/{id_}/quarantine", {"reason": reason, "expires": expires})


@command(_device)
def release(api: Api, id_: DeviceArgument, reason: ReasonOption) -> Any:
    """End a device's quarantine."""
    return api.call("POST", f"/devices/{id_}/release", {"reason": reason})


@command(_device)
def revoke(
    api: Api,
    id_: DeviceArgument,
    reason: Annotated[str, typer.Option("--reason", help="RFC 5280: keyCompromise, cessationOfOperation, ...")],
    comment: Annotated[str, typer.Option("--comment", help="why, in words")] = "",
) -> Any:
    """Revoke all certificates of a device: it is cut off at once, and needs a new claim to come back."""
    return api.call("POST", f"/devices/{id_}/revoke", {"reason": reason, "comment": comment})


@command(_device)
def retire(api: Api, id_: DeviceArgument, reason: ReasonOption) -> Any:
    """End a device's life, for good."""
    return api.call("POST", f"/devices/{id_}/retire", {"reason": reason})


def _object(text: str, what: str) -> dict[str, Any]:
    """The JSON object in `text`, or in the file it names (@FILE). Raises Malformed."""
    remedy = "for example '{\"telemetry_interval_s\": 10}', or @FILE"
    try:
        value = jsonlib.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError) as e:
        raise Malformed(f"{what} is a JSON object: {e}", remedy=remedy) from e
    if not isinstance(value, dict):
        raise Malformed(f"{what} is a JSON object", remedy=remedy)
    return value


@command(_show)
def device_config(
    api: Api,
    id_: DeviceArgument,
    config: Annotated[str | None, typer.Argument(help="JSON object, or @FILE; shows what is desired without")] = None,
) -> Any:
    """Show or set the configuration a device shall have."""
    if config is None:
        return api.call("GET", f"/devices/{id_}")["config"]
    return api.call("PUT", f"/devices/{id_}/config", {"config": _object(config, "a configuration")})


@command(_show)
def device_command(
    api: Api,
    id_: DeviceArgument,
    name: Annotated[str, typer.Argument(help="what to do: reboot, identify, ...")],
    args: Annotated[str, typer.Option("--args", help="JSON object, or @FILE")] = "{}",
    expires: Annotated[str, typer.Option("--expires", help="give up after 90s, 12h, 30d")] = "1h",
) -> Any:
    """Have a device do something once; sent until it answers."""
    body = {"name": name, "args": _object(args, "args"), "expires": expires}
    return api.call("POST", f"/devices/{id_}/commands", body)


@command(facts)
def timeline(api: Api, id_: DeviceArgument, limit: Limit = 30, cursor: CursorOption = None) -> Any:
    """The facts about a device, newest first."""
    return api.call("GET", f"/devices/{id_}/facts", limit=limit, cursor=cursor)


@command(_groups)
def list_groups(api: Api, limit: Limit = 100, cursor: CursorOption = None) -> Any:
    """Groups, with the number of devices in each."""
    return api.call("GET", "/groups", limit=limit, cursor=cursor)


@command(_show)
def create_group(api: Api, name: NameArgument) -> Any:
    """Make a group."""
    return api.call("POST", "/groups", {"name": name})


@command(_show)
def group_add(api: Api, name: NameArgument, id_: DeviceArgument) -> Any:
    """Put a device into a group."""
    return api.call("PUT", f"/groups/{name}/devices/{id_}")


@command(_show)
def group_remove(api: Api, name: NameArgument, id_: DeviceArgument) -> Any:
    """Take a device out of a group."""
    return api.call("DELETE", f"/groups/{name}/devices/{id_}")


@command(_show)
def create_claim(
    api: Api,
    device: Annotated[str, typer.Option("--device", help="whom it is for; registered when new")],
    expires: Annotated[str, typer.Option("--expires", help="usable for 90s, 12h, 30d")] = "24h",
    type_: Annotated[str | None, typer.Option("--type", help="type of a device registered now")] = None,
) -> Any:
    """A secret that lets one device enrol once. It is shown this one time."""
    return api.call("POST", "/claims", {"device": device, "expires": expires} | ({"type": type_} if type_ else {}))


@command(_claims)
def list_claims(api: Api, limit: Limit = 100, cursor: CursorOption = None) -> Any:
    """Claims and their use; never their secrets."""
    return api.call("GET", "/claims", limit=limit, cursor=cursor)
