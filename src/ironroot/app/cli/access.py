"""`user`, `apikey`: who may sign in, which programs may call."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from ironroot.app.cli.shared import DEFAULT_DATA, Ca, Data, Json, Limit, Server, api, console, pairs, show, table


def register(app: typer.Typer) -> None:
    """Add these commands."""
    user = typer.Typer(help="people", no_args_is_help=True)
    user.command("link")(link)
    user.command("list")(list_users)
    user.command("erase")(erase)
    app.add_typer(user, name="user")
    apikey = typer.Typer(help="programs", no_args_is_help=True)
    apikey.command("create")(create_api_key)
    apikey.command("list")(list_api_keys)
    apikey.command("revoke")(revoke_api_key)
    app.add_typer(apikey, name="apikey")


def link(
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    name: Annotated[str, typer.Option("--name", help="for whom; made when new")] = "administrator",
    role: Annotated[
        str, typer.Option("--role", help="administrator, operator or read-only, for somebody new")
    ] = "administrator",
) -> None:
    """A link that signs in once at the console. Nobody has a default password here."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("POST", "/users/link", {"name": name, "role": role})
    show(answer, json=json, human=lambda value: console.print(Text(value["link"]), soft_wrap=True))


def list_users(
    data: Data = DEFAULT_DATA, json: Json = False, server: Server = None, ca: Ca = None, limit: Limit = 100
) -> None:
    """People who may sign in."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("GET", "/users", limit=limit)
    show(
        answer,
        json=json,
        human=lambda value: table(
            ["id", "name", "role"],
            [(u["id"], u["name"], u["role"]) for u in value["items"]],
            "nobody yet; `ironroot user link` invites the first",
        ),
    )


def erase(
    user: Annotated[str, typer.Argument(metavar="USER", help="user id")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """Erase a person: sessions end, and the key that their personal fields in the record are encrypted under is destroyed."""
    with api(data, server, ca, json=json) as calls:
        calls.call("DELETE", f"/users/{user}")
    show({"id": user, "erased": True}, json=json, human=lambda value: pairs(value.items()))


def create_api_key(
    name: Annotated[str, typer.Option("--name", help="what it is for")],
    role: Annotated[str, typer.Option("--role", help="administrator, operator or read-only")],
    expires: Annotated[str, typer.Option("--expires", help="lives for 12h, 30d; at most 366d")] = "90d",
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """A key for a program. It is shown this one time."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("POST", "/apikeys", {"name": name, "role": role, "expires": expires})
    show(answer, json=json, human=lambda value: pairs(value.items()))


def list_api_keys(
    data: Data = DEFAULT_DATA, json: Json = False, server: Server = None, ca: Ca = None, limit: Limit = 100
) -> None:
    """API keys; never their secrets."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("GET", "/apikeys", limit=limit)
    show(
        answer,
        json=json,
        human=lambda value: table(
            ["id", "name", "role", "expires", "last used", "revoked"],
            [
                (k["id"], k["name"], k["role"], k["expires_at"], k["last_used_at"], k["revoked_at"])
                for k in value["items"]
            ],
            "no API keys",
        ),
    )


def revoke_api_key(
    key: Annotated[str, typer.Argument(metavar="ID")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """End an API key at once."""
    with api(data, server, ca, json=json) as calls:
        calls.call("DELETE", f"/apikeys/{key}")
    show({"id": key, "revoked": True}, json=json, human=lambda value: pairs(value.items()))
