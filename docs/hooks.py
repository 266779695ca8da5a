"""Parts of the site that are read from the code, so that they cannot drift from it.

A page says `<!-- from the code: NAME -->` where such a part belongs; the packages' own READMEs become pages. The
strict build fails for an unknown NAME, and for a dependency without its line in `dependencies.md`.
"""  # noqa: INP001 (mkdocs loads this file by its path)

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from importlib.metadata import metadata
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import typer.main
from fastapi import FastAPI
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "ironroot"
FLOORS = (
    "app",
    "adapters",
    "trust",
    "domains",
    "edge",
    "eventlog",
    "store",
    "verify",
    "wire",
    "core",
    "agent",
    "simulator",
)
MARKER = re.compile(r"<!-- from the code: ([a-z-]+) -->")
MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
SHARED = {"data", "json", "server", "ca", "limit", "cursor", "help"}
"""Parameters that the page on commands explains once."""


# --- hooks ------------------------------------------------------------------------------------------------------


def on_config(config: Any) -> Any:
    """Fill the navigation's list of packages."""
    for section in config.nav:
        for entry in section.get("Architecture", []):
            if "Packages" in entry:
                entry["Packages"] = [_page_of(readme) for readme in _readmes()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Make the packages' READMEs pages; links into the source become plain text, for the source is not on the site."""
    for readme in _readmes():
        text = re.sub(r"\[([^]]+)\]\((?!https?:|#)[^)]*\)", r"\1", readme.read_text())
        files.append(File.generated(config, _page_of(readme), content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the parts in their places."""
    if page.file.src_uri == "dependencies.md":
        _check_dependencies(markdown)

    def part(found: re.Match[str]) -> str:
        if found[1] not in PARTS:
            raise PluginError(f"{page.file.src_uri}: no part {found[1]!r}; there are {', '.join(PARTS)}")
        return "\n".join(PARTS[found[1]]())

    return MARKER.sub(part, markdown)


def _readmes() -> list[Path]:
    found = {path.parent.relative_to(SOURCE).parts: path for path in SOURCE.rglob("README.md") if path.parent != SOURCE}
    return [found[parts] for parts in sorted(found, key=lambda parts: (FLOORS.index(parts[0]), parts))]


def _page_of(readme: Path) -> str:
    return f"packages/{'-'.join(readme.parent.relative_to(SOURCE).parts)}.md"


# --- parts ------------------------------------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    command = typer.main.get_command(importlib.import_module("ironroot.app.cli").app)
    yield from _command(command, ())
    parser: argparse.ArgumentParser = importlib.import_module("ironroot.agent.cli")._parser()  # noqa: SLF001 (read here alone)
    yield "## agent\n\nThe device side. It needs none of the platform's packages.\n"
    subparsers = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001 (no public way)
    for choice in subparsers._choices_actions:  # noqa: SLF001 (as above)
        yield f"### agent {choice.dest}\n\n{_sentence(choice.help)}\n"
        yield from _table(
            ("option", "what it is"),
            [
                (" ".join(f"`{o}`" for o in action.option_strings) + _metavar(action), action.help)
                for action in subparsers.choices[choice.dest]._actions  # noqa: SLF001 (as above)
                if action.dest != "help"
            ],
        )


def _metavar(action: argparse.Action) -> str:
    return f" `{action.metavar}`" if action.metavar else ""


def _command(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    if path:
        yield f"{'#' * min(len(path) + 1, 3)} {' '.join(path)}\n"
        yield f"{_sentence(command.help)}\n"
    if hasattr(command, "commands"):  # typer carries its own click, whose classes have no public name
        for name, inner in command.commands.items():
            yield from _command(inner, (*path, name))
        return
    own = [p for p in command.params if p.name not in SHARED]
    arguments = [_argument(p) for p in own if p.param_type_name == "argument"]
    yield f"```sh\nironroot {' '.join([*path, *arguments])}{' [OPTIONS]' if len(own) > len(arguments) else ''}\n```\n"
    yield from _table(("option", "what it is", "default"), [_option(p) for p in own if p.param_type_name == "option"])


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name).strip("[]").upper()
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> tuple[str, str, str]:
    names = " ".join(f"`{o}`" for o in (*option.opts, *option.secondary_opts))
    default = option.default
    shown = "" if option.required or default in (None, False, "") or callable(default) else f"`{default}`"
    return names, option.help or "", "required" if option.required else shown


def _facts() -> Iterator[str]:
    body = importlib.import_module("ironroot.eventlog.model").Body
    for path in sorted(SOURCE.rglob("facts.py")):
        if path.parent.name != "api":  # the HTTP routes of the log
            importlib.import_module(".".join(("ironroot", *path.relative_to(SOURCE).with_suffix("").parts)))
    owners: dict[str, dict[str, Any]] = {}
    for kind in body.__subclasses__():  # a dataclass with slots is made twice; the later one is the one in use
        owners.setdefault(kind.__module__.split(".")[-2], {})[kind.KIND] = kind
    for owner, kinds in sorted(owners.items()):
        yield f"## {owner}\n"
        yield from _table(
            ("kind", "what it says", "fields"),
            [
                (f"`{k.KIND}`", " ".join((k.__doc__ or "").split()), ", ".join(f"`{f.name}`" for f in fields(k)))
                for _, k in sorted(kinds.items())
            ],
        )


def _trust() -> Iterator[str]:
    model = importlib.import_module("ironroot.trust.model")
    states = list(model.TrustState)
    yield from _table(
        ("capability", *states),
        [(f"`{c}`", *("yes" if c in model.CAPABILITIES[s] else "" for s in states)) for c in model.Capability],
    )


def _roles() -> Iterator[str]:
    model = importlib.import_module("ironroot.domains.access.model")
    permissions = importlib.import_module("ironroot.edge.permissions").Permission
    yield from _table(
        ("permission", *model.Role),
        [(f"`{p}`", *("yes" if p in model.ROLES[role] else "" for role in model.Role)) for p in permissions],
    )


def _routes() -> Iterator[str]:
    app = FastAPI()
    endpoints: dict[tuple[str, str], Any] = {}
    for path in sorted([*SOURCE.glob("domains/*/routes.py"), *SOURCE.glob("app/api/*.py")]):
        module = importlib.import_module(".".join(("ironroot", *path.relative_to(SOURCE).with_suffix("").parts)))
        if make := getattr(module, "api_router", None):
            router: Any = make(*(MagicMock() for _ in inspect.signature(make).parameters))
            app.include_router(router)
            endpoints |= {(route.path, method): route.endpoint for route in router.routes for method in route.methods}
    described = app.openapi()
    by_tag: dict[str, list[tuple[str, ...]]] = {}
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            endpoint = endpoints[path, method.upper()]
            permission = getattr(endpoint, "required_permission", None)
            asked = f"`{permission}`" if permission else about.get("x-public", "any credential")
            takes = ", ".join(f"`{name}`" for name in _taken(about, described))
            row = (f"`{method.upper()} {path}`", asked, takes, _sentence(inspect.getdoc(endpoint)))
            by_tag.setdefault(about["tags"][0], []).append(row)
    for tag, rows in by_tag.items():
        yield f"### {tag}\n"
        yield from _table(("route", "permission", "takes", "what it does"), rows)


def _taken(about: Any, described: Any) -> Iterator[str]:
    """The query's parameters, but for those every list has, and the body's fields."""
    for parameter in about.get("parameters", []):
        if parameter["in"] == "query" and parameter["name"] not in SHARED:
            yield parameter["name"]
    for content in about.get("requestBody", {}).get("content", {}).values():
        yield from described["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["properties"]


def _configuration() -> Iterator[str]:
    config = importlib.import_module("ironroot.app.config").Config()
    yield "```toml"
    for section in fields(config):
        value = getattr(config, section.name)
        if is_dataclass(value):
            yield f"[{section.name}]"
            yield from (f"{f.name} = {_toml(getattr(value, f.name))}" for f in fields(value))
            yield ""
    yield "```"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            seconds = int(value.total_seconds())
            size, unit = next((s, u) for s, u in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")) if seconds % s == 0)
            return f'"{seconds // size}{unit}"'
        case str():
            return f'"{value}"'
        case tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return str(value)


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "commands": _commands,
    "configuration": _configuration,
    "facts": _facts,
    "roles": _roles,
    "routes": _routes,
    "trust": _trust,
}


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    if rows:
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        yield from (f"| {' | '.join(str(cell or '').replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
        yield ""


def _sentence(text: str | None) -> str:
    text = " ".join((text or "").split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!", ")")) else ".")


# --- dependencies -----------------------------------------------------------------------------------------------


def _check_dependencies(markdown: str) -> None:
    """Every direct dependency has its line, with the licence that its own metadata names; and no line is left over."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    wanted = {re.split(r"[^A-Za-z0-9._-]", d)[0] for one in lists for d in one if isinstance(d, str)}
    said = dict(re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", markdown, re.MULTILINE))
    wrong = [f"{name} has no line" for name in sorted(wanted - said.keys())]
    wrong += [f"{name} is no dependency any more" for name in sorted(said.keys() - wanted)]
    wrong += [
        f"{name}: the page says {said[name]}, its metadata {_licence(name)}"
        for name in sorted(wanted & said.keys())
        if said[name] != _licence(name)
    ]
    if wrong:
        raise PluginError("dependencies.md: " + "; ".join(wrong))


def _licence(name: str) -> str:
    """The licence by the package's metadata: the SPDX expression, else the classifiers, else what its text is."""
    about: Any = metadata(name)
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if "OSI Approved ::" in c]
    text = str(about.get("License") or "not stated")
    return ", ".join(classifiers) or ("MIT" if MIT in " ".join(text.split()) else text.splitlines()[0].strip())
