"""A child that does as its arguments say, in order: `tell WORD [TEXT]`, `sleep S`, `exit N`, `kill SIGNAL`,
`listen PORT`, `ignore SIGNAL`, `spawn FILE` (a grandchild; its id in FILE), `note FILE TEXT` (append), `say TEXT`,
`once FILE` (go on only the first time, else skip the next action), `serve NAME` (HTTP on an inherited socket), `stay`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ironroot.app.supervisor.notify import inherited, tell


def main(arguments: list[str]) -> None:  # noqa: PLR0912 (a table of actions)
    kept = []
    skip = False
    for action in arguments:
        verb, *rest = action.split("\t")
        if skip:
            skip = False
            continue
        match verb:
            case "tell":
                tell(rest[0], " ".join(rest[1:]))
            case "sleep":
                time.sleep(float(rest[0]))
            case "exit":
                sys.exit(int(rest[0]))
            case "kill":
                os.kill(os.getpid(), int(rest[0]))
            case "listen":
                kept.append(socket.create_server(("127.0.0.1", int(rest[0]))))
            case "ignore":
                signal.signal(int(rest[0]), signal.SIG_IGN)
            case "spawn":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                with Path(rest[0]).open("a") as file:
                    file.write(f"{child.pid}\n")
            case "note":
                with Path(rest[0]).open("a") as file:
                    file.write(rest[1].replace("PID", str(os.getpid())) + "\n")
            case "say":
                sys.stdout.write(rest[0] + "\n")
            case "environment":
                Path(rest[0]).write_text("\n".join(sorted(os.environ)))
            case "once":
                skip = Path(rest[0]).exists()
                Path(rest[0]).touch()
            case "on-stop":
                note = [rest[0], rest[1]]
                signal.signal(signal.SIGTERM, lambda *_, note=note: _leave(*note))
            case "serve":
                asyncio.run(_serve(rest[0]))
            case "stay":
                while True:
                    time.sleep(60)


def _leave(file: str, text: str) -> None:
    with Path(file).open("a") as out:
        out.write(text + "\n")
    os._exit(0)


async def _serve(name: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                body = str(os.getpid()).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
                await writer.drain()
                break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(answer, sock=inherited(name))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tell("ready")
    await stop.wait()
    server.close()


if __name__ == "__main__":
    main(sys.argv[1:])
