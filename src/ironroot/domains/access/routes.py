"""The HTTP routes of signing in, sessions, users and API keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ironroot.core.clock import duration, rfc3339
from ironroot.core.errors import Forbidden
from ironroot.core.ids import ApiKeyId, UserId
from ironroot.domains.access.model import ROLES, ApiKey, Role, Session, User, role
from ironroot.domains.access.service import Access
from ironroot.edge.authentication import CONSOLE_HEADER, SESSION_COOKIE
from ironroot.edge.authorize import Principal, current_principal, require_permission, requires_auth
from ironroot.edge.paging import Cursor, Limit, decode_cursor, page
from ironroot.edge.peer import address

Closed = ConfigDict(extra="forbid")


class LinkToken(BaseModel):
    """The token of a one-time link."""

    model_config = Closed
    token: str = Field(max_length=100)


class WantedLink(BaseModel):
    """Whom the link is for; the role only counts for somebody new."""

    model_config = Closed
    name: str = Field("administrator", min_length=1, max_length=100)
    role: str = Role.ADMINISTRATOR


class WantedApiKey(BaseModel):
    """A key to make; it must expire."""

    model_config = Closed
    name: str = Field(min_length=1, max_length=100)
    role: str
    expires: str = Field("90d", max_length=12, examples=["90d"])


def show_principal(principal: Principal) -> dict[str, Any]:
    """Who somebody is, and all it may do."""
    return {
        "id": principal.id,
        "kind": principal.kind,
        "name": principal.name,
        "role": principal.role,
        "permissions": sorted(principal.permissions),
    }


def show_user(user: User) -> dict[str, Any]:
    """A user as the API shows it."""
    return {"id": user.id, "name": user.name, "role": user.role, "created_at": rfc3339(user.created_at)}


def show_session(session: Session) -> dict[str, Any]:
    """A session as the API shows it."""
    return {
        "id": session.handle,
        "user": show_user(session.user),
        "address": session.address,
        "created_at": rfc3339(session.created_at),
        "last_seen_at": rfc3339(session.last_seen_at),
        "expires_at": rfc3339(session.expires_at),
    }


def show_api_key(key: ApiKey) -> dict[str, Any]:
    """A key as the API shows it: all but its secret."""
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "created_at": rfc3339(key.created_at),
        "created_by": key.created_by,
        "expires_at": rfc3339(key.expires_at),
        "last_used_at": rfc3339(key.last_used_at) if key.last_used_at else None,
        "revoked_at": rfc3339(key.revoked_at) if key.revoked_at else None,
    }


def api_router(access: Access, link_url: Callable[[str], str]) -> APIRouter:
    """`/me`, `/session`, `/sessions`, `/users`, `/apikeys`. `link_url` makes a link's address from its token."""
    router = APIRouter(tags=["access"])

    @router.post("/session/link", openapi_extra={"x-public": "a one-time link is what signs in"})
    async def use_link(body: LinkToken, request: Request, response: Response) -> dict[str, Any]:
        """Sign in by a one-time link; sets the session cookie."""
        if request.headers.get(CONSOLE_HEADER) is None:
            raise Forbidden("a request another site made", remedy="open the link in the console", code="cross-site")
        token, session = await access.use_link(body.token, address(request.headers))
        response.set_cookie(
            SESSION_COOKIE,
            token.reveal().decode(),
            expires=session.expires_at,
            path="/",
            secure=True,
            httponly=True,
            samesite="strict",
        )
        user = session.user
        return {"user": show_principal(Principal("user", user.id, user.name, user.role, ROLES[user.role]))}

    @router.delete("/session", status_code=204)
    @requires_auth
    async def sign_out(response: Response) -> None:
        """End the current session."""
        principal = current_principal()
        if principal.session is not None:
            await access.end_session(principal.session, principal.actor)
        response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="strict")

    @router.get("/me")
    @requires_auth
    async def me() -> dict[str, Any]:
        """Who asks, and all it may do."""
        return show_principal(current_principal())

    @router.get("/sessions")
    @requires_auth
    @require_permission("user.manage")
    async def list_sessions(limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
        """Who is signed in at the console; `current` is the session that asks."""
        found = await access.sessions(decode_cursor(cursor), limit + 1)
        own = current_principal().session
        return page(found, limit, lambda s: s.handle, lambda s: show_session(s) | {"current": s.handle == own})

    @router.delete("/sessions/{session}", status_code=204)
    @requires_auth
    @require_permission("user.manage")
    async def end_session(session: Annotated[str, Path(max_length=40)]) -> None:
        """End a session at once."""
        await access.end_session(session, current_principal().actor)

    @router.get("/users")
    @requires_auth
    @require_permission("user.manage")
    async def list_users(limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
        """The people who may sign in."""
        found = await access.users(decode_cursor(cursor), limit + 1)
        return page(found, limit, lambda u: u.id, show_user)

    @router.delete("/users/{user}", status_code=204)
    @requires_auth
    @require_permission("user.manage")
    async def erase_user(user: Annotated[str, Path(max_length=40)]) -> None:
        """Erase a person, and with the person's key what the record holds about them."""
        await access.erase_user(UserId(user), current_principal().actor)

    @router.post("/users/link", status_code=201)
    @requires_auth
    @require_permission("user.manage")
    async def create_link(body: WantedLink) -> dict[str, Any]:
        """A one-time sign-in link."""
        made = await access.create_link(body.name, role(body.role), current_principal().actor)
        return {
            "link": link_url(made.token.reveal().decode()),
            "user": show_user(made.user),
            "expires_at": rfc3339(made.expires_at),
        }

    @router.get("/apikeys")
    @requires_auth
    @require_permission("apikey.manage")
    async def list_api_keys(limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
        """All API keys, ended ones too."""
        found = await access.api_keys(decode_cursor(cursor), limit + 1)
        return page(found, limit, lambda k: k.id, show_api_key)

    @router.post("/apikeys", status_code=201)
    @requires_auth
    @require_permission("apikey.manage")
    async def create_api_key(body: WantedApiKey) -> dict[str, Any]:
        """Make an API key; `key` is shown this once."""
        made = await access.create_api_key(body.name, role(body.role), duration(body.expires), current_principal())
        return show_api_key(made.made) | {"key": made.key.reveal().decode()}

    @router.delete("/apikeys/{key}", status_code=204)
    @requires_auth
    @require_permission("apikey.manage")
    async def revoke_api_key(key: Annotated[str, Path(max_length=40)]) -> None:
        """End an API key at once."""
        await access.revoke_api_key(ApiKeyId(key), current_principal().actor)

    return router
