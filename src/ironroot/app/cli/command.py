"""Makes a command of a function that calls the API: adds the options all commands share, prints what it returns.

    @command(human=print_device)
    def show(api: Api, id_: DeviceArgument) -> Any:
        return api.call("GET", f"/devices/{id_}")

becomes `ironroot device show ID [--data DIR] [--json] [--server URL] [--ca FILE]`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ironroot.app.cli.shared import DEFAULT_DATA, Ca, Data, Json, Server, api, show

KEYWORD = inspect.Parameter.KEYWORD_ONLY
SHARED = (
    inspect.Parameter("data", KEYWORD, default=DEFAULT_DATA, annotation=Data),
    inspect.Parameter("json", KEYWORD, default=False, annotation=Json),
)
ELSEWHERE = (
    inspect.Parameter("server", KEYWORD, default=None, annotation=Server),
    inspect.Parameter("ca", KEYWORD, default=None, annotation=Ca),
)


def command(human: Callable[[Any], object]) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """The decorator. `human` prints the answer where `--json` is not given; the function's first parameter is the API."""

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> None:
            data, json = kwargs.pop("data"), kwargs.pop("json")
            with api(data, kwargs.pop("server"), kwargs.pop("ca"), json=json) as calls:
                answer = function(calls, *args, **kwargs)
            show(answer, json=json, human=human)

        parameters = [p.replace(kind=KEYWORD) for p in own] + [*SHARED, *ELSEWHERE]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        del run.__wrapped__  # or typer would read the function's own signature
        return run

    return decorate
