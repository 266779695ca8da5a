from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ironroot.agent.buffer import Buffer, Message, Rank


def telemetry(n: int) -> Message:
    return Message("t", b"%d" % n)


def event(n: int) -> Message:
    return Message("e", b"%d" % n, Rank.EVENT)


def drain(buffer: Buffer) -> list[bytes]:
    sent = []
    while taken := buffer.take():
        sent.append(taken[1].payload)
        buffer.acknowledge(taken[0])
    return sent


def test_first_in_first_out_with_events_before_a_backlog() -> None:
    buffer = Buffer()
    for n in range(3):
        buffer.add(telemetry(n))
    buffer.add(Message("r", b"report", Rank.RECORD))
    buffer.add(event(9))
    assert drain(buffer) == [b"9", b"0", b"1", b"2", b"report"]
    assert len(buffer) == buffer.size_bytes == buffer.dropped == 0


def test_when_full_the_oldest_telemetry_goes_first_and_is_counted() -> None:
    buffer = Buffer(max_count=4)
    buffer.add(event(0))
    for n in range(1, 6):
        buffer.add(telemetry(n))
    assert buffer.dropped == 2
    assert drain(buffer) == [b"0", b"3", b"4", b"5"]


def test_events_are_dropped_last_and_telemetry_cannot_push_them_out() -> None:
    buffer = Buffer(max_count=2)
    for n in range(3):
        buffer.add(event(n))
    buffer.add(telemetry(7))
    assert drain(buffer) == [b"1", b"2"]
    assert buffer.dropped == 2


def test_bytes_are_bounded_too() -> None:
    buffer = Buffer(max_bytes=10_000)
    for n in range(100):
        buffer.add(Message("t", bytes(900) + b"%d" % n))
        assert buffer.size_bytes <= 10_000
    buffer.add(Message("t", bytes(20_000)))
    assert buffer.size_bytes <= 10_000


def test_what_was_in_flight_is_sent_again_before_everything_newer() -> None:
    buffer = Buffer()
    for n in range(5):
        buffer.add(telemetry(n))
    taken = [buffer.take() for _ in range(3)]
    assert taken[1] is not None
    buffer.acknowledge(taken[1][0])
    buffer.put_back()
    assert drain(buffer) == [b"0", b"2", b"3", b"4"]


def test_what_is_in_flight_is_not_dropped_under_the_link() -> None:
    buffer = Buffer(max_count=2)
    buffer.add(telemetry(0))
    taken = buffer.take()
    for n in range(1, 5):
        buffer.add(telemetry(n))
    assert taken is not None
    assert len(buffer) == 2
    buffer.put_back()
    assert drain(buffer) == [b"0", b"4"]


@given(st.lists(st.tuples(st.binary(max_size=20), st.sampled_from(Rank))))
def test_dump_and_load_keep_everything(messages: list[tuple[bytes, Rank]]) -> None:
    buffer, again = Buffer(), Buffer()
    for payload, rank in messages:
        buffer.add(Message("d/x/up/log", payload, rank))
    buffer.take()
    assert again.load(buffer.dump()) == len(messages)
    buffer.put_back()
    assert drain(again) == drain(buffer)


@given(st.binary() | st.sampled_from([b"{}", b"[]", b'{"format":1,"messages":[1]}', b'{"format":9,"messages":[]}']))
def test_a_damaged_file_is_nothing(content: bytes) -> None:
    assert Buffer().load(content) == 0


class Bounded(RuleBasedStateMachine):
    """Whatever is added, taken, acknowledged and put back: bounded, and every message is accounted for."""

    taken: Bundle[int] = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.buffer = Buffer(max_count=5, max_bytes=2_000)
        self.added = self.acknowledged = 0
        self.out: set[int] = set()

    @rule(rank=st.sampled_from(Rank), size=st.integers(0, 600))
    def add(self, rank: Rank, size: int) -> None:
        self.buffer.add(Message("t", bytes(size), rank))
        self.added += 1

    @rule(target=taken)
    def take(self) -> int:
        got = self.buffer.take()
        if got is None:
            return 0
        self.out.add(got[0])
        return got[0]

    @rule(number=consumes(taken))
    def acknowledge(self, number: int) -> None:
        if number in self.out:
            self.out.discard(number)
            self.acknowledged += 1
        self.buffer.acknowledge(number)

    @rule()
    def put_back(self) -> None:
        self.buffer.put_back()
        self.out.clear()

    @invariant()
    def every_message_is_held_acknowledged_or_counted_as_dropped(self) -> None:
        assert len(self.buffer) + self.acknowledged + self.buffer.dropped == self.added

    @invariant()
    def bounded(self) -> None:
        assert len(self.buffer) <= max(5, len(self.out))
        assert self.buffer.size_bytes <= 2_000 or len(self.buffer) == len(self.out)


TestBounded = Bounded.TestCase
