"""`user`, `apikey`: who may sign in, which programs may call."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from ironroot.app.cli.command import command
from ironroot.app.cli.shared import CursorOption, Limit, console, pairs, table
from ironroot.app.client import Api


def register(app: typer.Typer) -> None:
    """Add these commands."""
    user = typer.Typer(help="people", no_args_is_help=True)
    user.command("link")(link)
    user.command("list")(list_users)
    user.command("erase")(erase)
    app.add_typer(user, name="user")
    session = typer.Typer(help="who is signed in at the console", no_args_is_help=True)
    session.command("list")(list_sessions)
    session.command("end")(end_session)
    app.add_typer(session, name="session")
    apikey = typer.Typer(help="programs", no_args_is_help=True)
    apikey.command("create")(create_api_key)
    apikey.command("list")(list_api_keys)
    apikey.command("revoke")(revoke_api_key)
    app.add_typer(apikey, name="apikey")


def _link(value: dict[str, Any]) -> None:
    console.print(Text(value["link"]), soft_wrap=True)


def _show(value: dict[str, Any]) -> None:
    pairs(value.items())


def _users(answer: dict[str, Any]) -> None:
    rows = [(u["id"], u["name"], u["role"]) for u in answer["items"]]
    table(["id", "name", "role"], rows, "nobody yet; `ironroot user link` invites the first")


def _sessions(answer: dict[str, Any]) -> None:
    rows = [(s["id"], s["user"]["name"], s["address"], s["last_seen_at"], s["expires_at"]) for s in answer["items"]]
    table(["id", "user", "from", "last seen", "expires"], rows, "nobody is signed in")


def _api_keys(answer: dict[str, Any]) -> None:
    table(
        ["id", "name", "role", "expires", "last used", "revoked"],
        [(k["id"], k["name"], k["role"], k["expires_at"], k["last_used_at"], k["revoked_at"]) for k in answer["items"]],
        "no API keys",
    )


@command(_link)
def link(
    api: Api,
    name: Annotated[str, typer.Option("--name", help="for whom; made when new")] = "administrator",
    role: Annotated[
        str, typer.Option("--role", help="administrator, operator or read-only, for somebody new")
    ] = "administrator",
) -> Any:
    """A link that signs in once at the console. Nobody has a default password here."""
    return api.call("POST", "/users/link", {"name": name, "role": role})


@command(_users)
def list_users(api: Api, limit: Limit = 100, cursor: CursorOption = None) -> Any:
    """People who may sign in."""
    return api.call("GET", "/users", limit=limit, cursor=cursor)


@command(_show)
def erase(api: Api, user: Annotated[str, typer.Argument(metavar="USER", help="user id")]) -> Any:
    """Erase a person: sessions end, and the key of what the record holds about them is destroyed."""
    api.call("DELETE", f"/users/{user}")
    return {"id": user, "erased": True}


@command(_sessions)
def list_sessions(api: Api, limit: Limit = 100, cursor: CursorOption = None) -> Any:
    """Sessions that still work."""
    return api.call("GET", "/sessions", limit=limit, cursor=cursor)


@command(_show)
def end_session(api: Api, session: Annotated[str, typer.Argument(metavar="SESSION", help="session id")]) -> Any:
    """End a session at once."""
    api.call("DELETE", f"/sessions/{session}")
    return {"id": session, "ended": True}


@command(_show)
def create_api_key(
    api: Api,
    name: Annotated[str, typer.Option("--name", help="what it is for")],
    role: Annotated[str, typer.Option("--role", help="administrator, operator or read-only")],
    expires: Annotated[str, typer.Option("--expires", help="lives for 12h, 30d; at most 366d")] = "90d",
) -> Any:
    """A key for a program. It is shown this one time."""
    return api.call("POST", "/apikeys", {"name": name, "role": role, "expires": expires})


@command(_api_keys)
def list_api_keys(api: Api, limit: Limit = 100, cursor: CursorOption = None) -> Any:
    """API keys; never their secrets."""
    return api.call("GET", "/apikeys", limit=limit, cursor=cursor)


@command(_show)
def revoke_api_key(api: Api, key: Annotated[str, typer.Argument(metavar="ID")]) -> Any:
    """End an API key at once."""
    api.call("DELETE", f"/apikeys/{key}")
    return {"id": key, "revoked": True}
