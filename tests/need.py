"""What tests and benchmarks need from Debian: installed when we are root, named otherwise. Quick when all is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS: dict[str, Callable[[], bool]] = {
    "chromium": lambda: shutil.which("chromium") is not None,
    "curl": lambda: shutil.which("curl") is not None,
    "libnss3-tools": lambda: shutil.which("certutil") is not None,
    "mosquitto": lambda: Path("/usr/sbin/mosquitto").exists(),
    "mosquitto-clients": lambda: shutil.which("mosquitto_pub") is not None,
    "openssl": lambda: shutil.which("openssl") is not None,
    "postgresql": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
}
POLICY = Path("/usr/sbin/policy-rc.d")


@contextmanager
def no_daemons() -> Iterator[None]:
    """Keep packages from starting servers of their own, and PostgreSQL's from making a cluster."""
    Path("/etc/postgresql-common").mkdir(exist_ok=True)
    conf = Path("/etc/postgresql-common/createcluster.conf")
    if not conf.exists():
        conf.write_text("create_main_cluster = false\n")
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def main() -> int:
    """Install what is missing, or say what to install."""
    missing = [name for name, there in TESTS.items() if not there()]
    if not missing:
        return 0
    names = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.stderr.write(f"missing, and what needs them is skipped: {names}\n  as root: apt-get install {names}\n")
        return 0
    sys.stderr.write(f"installing {names}\n")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    get = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    with no_daemons():
        subprocess.run([*get, "update"], env=env, check=False, stdout=subprocess.DEVNULL)
        done = subprocess.run(
            [*get, "install", "-y", "--no-install-recommends", *missing],
            env=env,
            check=False,
            stdout=subprocess.DEVNULL,
        )
    if done.returncode:
        sys.stderr.write(f"could not install {names}: what needs them is skipped\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
