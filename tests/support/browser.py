"""Chromium for tests of the console: opens pages and keeps all that went wrong in them.

The page's own content policy is what is tested, so it is never bypassed: no `bypass_csp`, no `add_script_tag`, and
no `wait_for_function` with text (an eval in the page, which the policy refuses). Wait on locators.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Response, async_playwright

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
WATCH = """
window.__watched = { violations: [], shift: 0 };
document.addEventListener("securitypolicyviolation", (e) => window.__watched.violations.push(
  `${e.effectiveDirective} blocked ${e.blockedURI} ${(e.sample || "").slice(0, 80)} (${e.sourceFile}:${e.lineNumber})`));
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__watched.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast"]
"""All that another theme can break: the page is the same one in other colours."""

Scheme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule of axe-core that a page breaks, and where."""

    rule: str
    impact: str
    where: tuple[str, ...]


@dataclass
class Watched:
    """A page, and what went wrong in it so far: exceptions, console errors, answers of 500 and above."""

    page: Page
    errors: list[str] = field(default_factory=list)

    async def violations(self) -> list[str]:
        """What the content policy stopped since the page was loaded."""
        found: list[str] = await self.page.evaluate("window.__watched.violations")
        return found

    async def layout_shift(self) -> float:
        """Cumulative layout shift since the page was loaded, without what follows a key or a click."""
        return float(await self.page.evaluate("window.__watched.shift"))

    async def axe(self, rules: Sequence[str] = RULES) -> list[Finding]:
        """What axe-core finds on the page as it stands: WCAG 2.2 A and AA, and its best practices.

        The window is as high as the page meanwhile: a button half below the strip at the foot is one that scrolls.
        """
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(_axe_source() + ";0")
        window = self.page.viewport_size
        assert window is not None
        whole = int(await self.page.evaluate("document.documentElement.scrollHeight"))
        if whole > window["height"]:
            await self.page.set_viewport_size({"width": window["width"], "height": whole})
        result: dict[str, Any] = await self.page.evaluate("rules => axe.run(document, { runOnly: rules })", rules)
        if whole > window["height"]:
            await self.page.set_viewport_size(window)
        return [
            Finding(v["id"], v["impact"], tuple(" ".join(map(str, n["target"])) for n in v["nodes"][:5]))
            for v in result["violations"]
        ]

    async def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    async def assert_sound(self, where: str, rules: Sequence[str] = RULES) -> None:
        """The page has done nothing against its policy, thrown nothing, and everybody can use it."""
        violations, findings = await self.violations(), await self.axe(rules)
        assert violations == [], f"{where}: {violations}"
        assert self.errors == [], f"{where}: {self.errors}"
        assert findings == [], f"{where}: {findings}"
        assert await self.overflow() <= 0, f"{where}: wider than its window"


@asynccontextmanager
async def chromium(keys: Iterable[str] = ()) -> AsyncIterator[Browser]:
    """A browser that takes the servers with these keys (of `verified_key`) beside those its system trusts.

    Raises RuntimeError where there is no Chromium.
    """
    if CHROMIUM is None:
        raise RuntimeError("no chromium: apt-get install chromium")
    pins = ",".join(keys)
    args = [*QUIET, *([f"--ignore-certificate-errors-spki-list={pins}"] if pins else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False, args=args)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, *, width: int = 1360, height: int = 900, scheme: Scheme = "light", state: Any = None
) -> AsyncIterator[Watched]:
    """A page in a context of its own; `state` is another context's `storage_state()`, for its cookies."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", storage_state=state
    )
    try:
        await context.add_init_script(WATCH)
        watched = Watched(await context.new_page())
        watched.page.on("pageerror", lambda error: _on_error(watched, error))
        watched.page.on("console", lambda message: _on_console(watched, message))
        watched.page.on("response", lambda response: _on_response(watched, response))
        yield watched
    finally:
        await context.close()


def verified_key(port: int, roots: Path, host: str = "localhost") -> str:
    """The key of the server at `port`, verified against `roots`, as Chromium's command line names keys.

    Raises ssl.SSLCertVerificationError for a server that does not come from these roots.
    """
    context = ssl.create_default_context(cafile=str(roots))
    with socket.create_connection((host, port), 5) as raw, context.wrap_socket(raw, server_hostname=host) as tls:
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    spki = (
        x509.load_der_x509_certificate(der).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def _axe_source() -> str:
    if not AXE.is_file():
        raise RuntimeError("no axe-core: `npm ci` in console/, or remove src/ironroot/app/static and run `make setup`")
    return AXE.read_text()


def _on_error(watched: Watched, error: Error) -> None:
    watched.errors.append(f"exception: {error}")


def _on_console(watched: Watched, message: ConsoleMessage) -> None:
    # The browser itself reports every refused request as an error; refusals are what some tests want.
    if message.type == "error" and "Failed to load resource" not in message.text:
        watched.errors.append(f"console: {message.text}")


def _on_response(watched: Watched, response: Response) -> None:
    if response.status >= 500:
        watched.errors.append(f"{response.status}: {response.url}")
