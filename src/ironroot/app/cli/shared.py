"""What all commands share: where the data is, how to reach the API, how to print an answer or an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ironroot.app.client import Api, ApiProblem, connect, dumps
from ironroot.core.errors import IronrootError
from ironroot.edge.problems import problem, status_of

DEFAULT_DATA = Path("ironroot-data")
STYLES = {
    "trusted": "green",
    "restricted": "yellow",
    "quarantined": "magenta",
    "revoked": "red",
    "unknown": "dim",
}

Data = Annotated[Path, typer.Option("--data", envvar="IRONROOT_DATA_DIR", help="the platform's data directory")]
Json = Annotated[bool, typer.Option("--json", help="print JSON: the API's own field names")]
Server = Annotated[
    str | None, typer.Option("--server", help="a platform elsewhere: https://HOST:8443, key in IRONROOT_API_KEY")
]
Ca = Annotated[Path | None, typer.Option("--ca", help="the root certificate of the platform elsewhere")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="at most so many")]
CursorOption = Annotated[str | None, typer.Option("--cursor", help="`next` of the page before")]

console = Console()
errors = Console(stderr=True)


@contextmanager
def api(data: Path, server: str | None, ca: Path | None, *, json: bool) -> Iterator[Api]:
    """The API for one command; an error is printed as the command line promises, and ends it with status 1."""
    with failing(json=json), connect(data, server, ca) as connected:
        yield connected


@contextmanager
def failing(*, json: bool) -> Iterator[None]:
    """Print an error of the block and exit: 1 for a refusal or a failing check."""
    try:
        yield
    except ApiProblem as e:
        fail(e.document, json=json)
    except IronrootError as e:
        fail(problem(status_of(e), e.error_code, e.message, e.remedy), json=json)


def fail(document: dict[str, Any], *, json: bool) -> NoReturn:
    """Print a problem document on standard error and exit with status 1."""
    if json:
        sys.stderr.write(dumps(document) + "\n")
    else:
        errors.print(Text("refused  ", style="bold red") + Text(str(document.get("detail") or document.get("title"))))
        if document.get("remedy"):
            errors.print(Text(f"         {document['remedy']}", style="dim"))
    raise typer.Exit(1)


def show(value: Any, *, json: bool, human: Callable[[Any], object]) -> None:
    """Print an answer: as JSON, or as `human` does it."""
    if json:
        sys.stdout.write(dumps(value) + "\n")
    else:
        human(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows as a table, or what to do where there are none."""
    listed = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        listed.add_column(name, no_wrap=name in {"id", "serial"}, overflow="fold")
    count = 0
    for row in rows:
        listed.add_row(
            *(cell if isinstance(cell, Text) else Text(str(cell if cell is not None else "-")) for cell in row)
        )
        count += 1
    if count:
        console.print(listed)
    else:
        console.print(Text(empty, style="dim"))


def facts(answer: dict[str, Any]) -> None:
    """Print facts: a line of what, about whom, by whom, and below it the details."""
    for fact in answer["items"]:
        at = fact["at"][:19].replace("T", " ")
        head = Text(f"{fact['seq']:>6}  {at}  ") + Text(fact["kind"], style="bold")
        console.print(head + Text(f"  {fact['subject']}  by {fact['actor']}"), soft_wrap=True)
        body = "  ".join(
            f"{key}={value}" for key, value in fact["body"].items() if key != "personal" and value is not None
        )
        if body:
            console.print(Text(f"        {body}", style="dim"), soft_wrap=True)
    if not answer["items"]:
        console.print(Text("no facts yet", style="dim"))
    elif answer["next"]:
        console.print(Text(f"more: --cursor {answer['next']}", style="dim"))


def pairs(rows: Iterable[tuple[str, object]]) -> None:
    """Print names with their values."""
    listed = Table(box=None, pad_edge=False, show_header=False)
    listed.add_column(style="dim")
    listed.add_column()
    for name, value in rows:
        listed.add_row(name, value if isinstance(value, Text) else Text(str(value if value is not None else "-")))
    console.print(listed)


def trust(state: str) -> Text:
    """A trust state in its colour; the word is always there."""
    return Text(state, style=STYLES.get(state, ""))


def ago(at: str | None) -> str:
    """How long ago an instant was."""
    if at is None:
        return "never"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())  # noqa: TID251 (for eyes only)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{max(seconds, 0)} s ago"
