"""Answers the auth callout: one process of a queue group, read-only on the store, fails closed.

No is the answer to everything but a fresh yes of the policy decision point: when the store does not answer, when the
intake's consumer does not exist yet (a message nobody would keep must not be acknowledged), when a device was just
cut off for flooding, or connects over and over. Refusals are told to the platform, at most 50 a second; the rest is
counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec
import structlog

from ironroot.adapters.nats.callout import Request
from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.adapters.nats.link import Link, Message
from ironroot.adapters.nats.subjects import (
    CALLOUT,
    DENY,
    EVENTS_CONSUMER,
    INTAKE_CONSUMER,
    MESSAGES,
    QUEUE,
    REFUSED,
)
from ironroot.core.clock import Clock
from ironroot.core.errors import Fault, Forbidden, Malformed, Refused, Unavailable
from ironroot.core.gcra import Budget, Gcra
from ironroot.domains.messaging.admission import decide, shown
from ironroot.domains.messaging.model import Grant, Knock, Refusal
from ironroot.domains.messaging.ports import Admission

CONNECTS = Budget(burst=600, period_s=60)
"""Connects of one device per process: each may leave a session behind in the broker."""
REPORTS = Budget(burst=50, period_s=1)
ANSWER_S = 3.0
"""Less than the broker's own patience (5 s), so that a late answer is a refusal with a reason."""
AT_ONCE = 256
MOST_DENIED = 10_000
CHECK_S = 5.0

_log = structlog.get_logger(__name__)


class Denial(msgspec.Struct):
    """What `ir.deny` says."""

    device: str
    seconds: float


class Doorman:
    """Decides; knows no network. `ready` is whether what a device sends would be kept."""

    def __init__(self, admission: Admission, clock: Clock) -> None:
        self._admission = admission
        self._clock = clock
        self._denied: OrderedDict[str, float] = OrderedDict()
        self._connects = Gcra(CONNECTS, capacity=50_000)
        self.ready = False

    def deny(self, device: str, seconds: float) -> None:
        """Refuse the device from now on for so long. The 10,000 latest are remembered."""
        self._denied[device] = self._clock.monotonic() + seconds
        self._denied.move_to_end(device)
        if len(self._denied) > MOST_DENIED:
            self._denied.popitem(last=False)

    async def answer(self, knock: Knock) -> Grant:
        """What the device gets. Raises Forbidden with the reason; every failure of ours is one too."""
        if not self.ready:
            raise Forbidden("the platform is starting", code="starting")
        name = knock.common_names[0] if knock.common_names else ""
        now = self._clock.monotonic()
        if self._denied.get(name, 0.0) > now:
            raise Forbidden("cut off for a while", code="denied")
        if self._connects.take(name, now) > 0:
            raise Forbidden("too many connects", code="connects")
        try:
            async with asyncio.timeout(ANSWER_S):
                admitted = await self._admission.by_fingerprint(knock.fingerprint)
        except (Fault, TimeoutError, OSError) as e:
            _log.error("the store does not answer: refused", error=repr(e)[:200])
            raise Forbidden("the platform cannot decide now", code="unavailable") from e
        return decide(knock, admitted, self._clock.now())


class Responder:
    """The process: two links to the broker (its callout account, the platform's account), kept up."""

    def __init__(self, credentials: Credentials, doorman: Doorman, clock: Clock, name: str = "authz") -> None:
        self._credentials = credentials
        self._doorman = doorman
        self._clock = clock
        self._name = name
        self._reports = Gcra(REPORTS, capacity=1)
        self._unreported = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._auth: Link | None = None
        self._door: Link | None = None
        self.answered = 0
        self.listening = asyncio.Event()
        """Set once the broker's questions reach us for the first time."""

    async def run(self) -> None:
        """Until cancelled: answer."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_auth())
                group.create_task(self._keep_door())
        finally:
            for link in (self._auth, self._door):
                if link is not None:
                    link.close()

    async def _keep_auth(self) -> None:
        while True:
            try:
                self._auth = await self._open(Role.AUTH, self._on_questions)
            except Unavailable:
                await asyncio.sleep(0.2)
                continue
            self._auth.subscribe(CALLOUT, 1, QUEUE)
            with contextlib.suppress(Unavailable):
                await self._auth.flush()
                self.listening.set()
            await asyncio.shield(self._auth.ended)
            await asyncio.sleep(0.1)

    async def _keep_door(self) -> None:
        while True:
            try:
                self._door = await self._open(Role.DOOR, self._on_denials)
                self._door.subscribe(DENY, 1)
                while not self._door.ended.done():
                    await self._look(self._door)
                    await asyncio.wait([self._door.ended], timeout=CHECK_S if self._doorman.ready else 0.1)
            except Unavailable:
                await asyncio.sleep(0.2)
            finally:
                self._doorman.ready = False

    async def _look(self, door: Link) -> None:
        """Ready is: both consumers exist, so that every message has somebody who wants it."""
        for consumer in (INTAKE_CONSUMER, EVENTS_CONSUMER):
            try:
                found = await door.request(f"$JS.API.CONSUMER.INFO.{MESSAGES}.{consumer}")
            except Unavailable:
                self._doorman.ready = False
                return
            if b'"error"' in found[:400]:
                self._doorman.ready = False
                return
        self._doorman.ready = True

    async def _open(self, role: Role, on_messages: Callable[[Sequence[Message]], None]) -> Link:
        password = self._credentials.password(role)
        return await Link.open(self._credentials.url, role, password, on_messages, self._name)

    def _on_denials(self, messages: Sequence[Message]) -> None:
        for message in messages:
            try:
                denial = msgspec.json.decode(message.payload, type=Denial)
            except msgspec.MsgspecError:
                continue
            self._doorman.deny(denial.device, min(denial.seconds, 3600.0))

    def _on_questions(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if len(self._tasks) >= AT_ONCE:
                continue  # unanswered is refused, and the device comes again
            task = asyncio.get_running_loop().create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Message) -> None:
        try:
            request = Request(message.payload)
        except Malformed:
            return
        now = self._clock.now()
        knock: Knock | None = None
        try:
            knock = request.knock()
            answer = request.granted(await self._doorman.answer(knock), self._credentials.issuer, now)
        except Refused as e:
            answer = request.refused(e.error_code, self._credentials.issuer, now)
            self._report(request, knock, e)
        except Exception as e:  # noqa: BLE001 (whatever went wrong, the answer is no)
            _log.error("a connect could not be decided: refused", error=repr(e)[:300])  # no traceback: this may repeat
            answer = request.refused("fault", self._credentials.issuer, now)
            self._report(request, knock, Forbidden(type(e).__name__, code="fault"))
        if self._auth is not None:
            self._auth.publish(message.reply, answer)
        self.answered += 1

    def _report(self, request: Request, knock: Knock | None, error: Refused) -> None:
        if self._door is None or self._reports.take("", self._clock.monotonic()) > 0:
            self._unreported += 1
            return
        refusal = Refusal(
            device=knock.common_names[0] if knock is not None and knock.common_names else None,
            code=error.error_code,
            reason=error.message[:200],
            address=request.address,
            client_id=shown(request.client_id),
            unreported=self._unreported,
        )
        self._unreported = 0
        self._door.publish(REFUSED.encode(), msgspec.json.encode(refusal))
