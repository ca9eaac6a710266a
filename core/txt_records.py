"""Look up TXT records: a small, strict DNS client (RFC 1035) that asks the resolvers of /etc/resolv.conf.

It asks by UDP with a random id from a random port, and by TCP if the answer is truncated. An answer counts only if it
repeats the question. Records count only if they belong to the name, or to the name that its CNAME records lead to. DNS
is not authenticated here: whoever controls the resolver, or the way to it, controls the answers.
"""

import secrets
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from core.net import parse_address

RESOLV_CONF = Path("/etc/resolv.conf")
DEFAULT_RESOLVER = "127.0.0.1"
MAX_RESOLVERS = 3
ATTEMPT_SECONDS = 2.0
PORT = 53
TXT, CNAME, IN = 16, 5, 1
HEADER = struct.Struct("!6H")
RECORD = struct.Struct("!HHIH")
RESPONSE, OPCODE, TRUNCATED, RECURSION_DESIRED, RCODE = 0x8000, 0x7800, 0x0200, 0x0100, 0x000F
NO_SUCH_NAME = 3
POINTER, MAX_LABEL, MAX_NAME = 0xC0, 63, 255
MAX_ALIASES = 8
MAX_PACKET = 65_535

type Resolver = tuple[str, int]


class LookupFailed(Exception):
    """No resolver gave an answer that can be used. The message is for the log."""


class Malformed(Exception):
    """A packet is not a usable answer."""


class Question(NamedTuple):
    """A question for the TXT records of a name. `name` is in the format of packets, in lower case."""

    id: int
    name: bytes

    @property
    def section(self) -> bytes:
        return self.name + struct.pack("!2H", TXT, IN)

    @property
    def packet(self) -> bytes:
        return HEADER.pack(self.id, RECURSION_DESIRED, 1, 0, 0, 0) + self.section

    def is_answered_by(self, packet: bytes) -> bool:
        """Return whether the packet is a response that repeats the id and the question."""
        if len(packet) < HEADER.size:
            return False
        answered, flags, questions, *_ = HEADER.unpack_from(packet)
        repeated = packet[HEADER.size : HEADER.size + len(self.section)].lower()
        is_response = flags & RESPONSE and not flags & OPCODE
        return bool(is_response and (answered, questions) == (self.id, 1) and repeated == self.section)


def txt_records(name: str) -> list[bytes]:
    """Return the TXT records of a name, each with its strings joined. Empty if there are none. Raises `LookupFailed`.

    The name must be in ASCII. It can take `ATTEMPT_SECONDS` for each of three resolvers.
    """
    failures = []
    for resolver in resolvers():
        question = Question(secrets.randbits(16), encode_name(name))
        try:
            return _ask(resolver, question, time.monotonic() + ATTEMPT_SECONDS)
        except (OSError, Malformed) as error:
            failures.append(f"{resolver[0]}: {str(error) or type(error).__name__}")
    raise LookupFailed("; ".join(failures))


def resolvers() -> list[Resolver]:
    """Return the addresses and ports of the first resolvers in /etc/resolv.conf."""
    try:
        lines = RESOLV_CONF.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    named = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]
    return [(str(found), PORT) for found in map(parse_address, named) if found][:MAX_RESOLVERS] or [
        (DEFAULT_RESOLVER, PORT)
    ]


def encode_name(name: str) -> bytes:
    """Return the name in the format of packets, in lower case. Raises `ValueError` if it is too long or not ASCII."""
    labels = name.lower().encode("ascii").removesuffix(b".").split(b".")
    if not all(0 < len(label) <= MAX_LABEL for label in labels):
        raise ValueError(f"{name!r} is not a domain name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(encoded) > MAX_NAME:
        raise ValueError(f"{name!r} is too long")
    return encoded


def read_answer(packet: bytes, question: Question) -> list[bytes] | None:
    """Return the TXT records in an answer to the question, or None if it is truncated. Raises `Malformed`."""
    if not question.is_answered_by(packet):
        raise Malformed("not an answer to the question")
    _, flags, _, answers, *_ = HEADER.unpack_from(packet)
    if flags & TRUNCATED:
        return None
    if flags & RCODE == NO_SUCH_NAME:
        return []
    if flags & RCODE:
        raise Malformed("the resolver answered with an error", flags & RCODE)
    records = list(_records(packet, HEADER.size + len(question.section), answers))
    owner = _follow_aliases(question.name, [(name, target) for name, kind, target in records if kind == CNAME])
    return [_joined(data) for name, kind, data in records if kind == TXT and name == owner]


def _ask(resolver: Resolver, question: Question, deadline: float) -> list[bytes]:
    found = read_answer(_ask_by_udp(resolver, question, deadline), question)
    if found is None:
        found = read_answer(_ask_by_tcp(resolver, question, deadline), question)
    if found is None:
        raise Malformed("truncated over TCP")
    return found


def _ask_by_udp(resolver: Resolver, question: Question, deadline: float) -> bytes:
    """Return the first answer to the question. Others are ignored: anyone can send a datagram."""
    family = socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.connect(resolver)  # so the kernel drops datagrams from elsewhere
        channel.send(question.packet)
        while True:
            channel.settimeout(_left(deadline))
            packet = channel.recv(MAX_PACKET)
            if question.is_answered_by(packet):
                return packet


def _ask_by_tcp(resolver: Resolver, question: Question, deadline: float) -> bytes:
    with socket.create_connection(resolver, timeout=_left(deadline)) as channel:
        channel.sendall(struct.pack("!H", len(question.packet)) + question.packet)
        (length,) = struct.unpack("!H", _receive(channel, 2, deadline))
        return _receive(channel, length, deadline)


def _receive(channel: socket.socket, length: int, deadline: float) -> bytes:
    received = b""
    while len(received) < length:
        channel.settimeout(_left(deadline))
        part = channel.recv(length - len(received))
        if not part:
            raise Malformed("the connection ended early")
        received += part
    return received


def _left(deadline: float) -> float:
    """Return how many seconds are left. Raises `TimeoutError` if none are."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _records(packet: bytes, start: int, number: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield the name, type and data of each record. The data of a CNAME record is the name that it points to."""
    for _ in range(number):
        name, start = _read_name(packet, start)
        if start + RECORD.size > len(packet):
            raise Malformed("a record is cut off")
        kind, group, _, length = RECORD.unpack_from(packet, start)
        first, start = start + RECORD.size, start + RECORD.size + length
        if start > len(packet):
            raise Malformed("the data of a record is cut off")
        if group == IN and kind in (TXT, CNAME):
            yield name, kind, _read_name(packet, first)[0] if kind == CNAME else packet[first:start]


def _read_name(packet: bytes, start: int) -> tuple[bytes, int]:
    """Return the name at an offset, without compression and in lower case, and the offset after it."""
    name, place, end = b"", start, None
    lowest = start
    while True:
        length = packet[place] if place < len(packet) else MAX_LABEL + 1
        if length >= POINTER:
            end = place + 2 if end is None else end
            place = int.from_bytes(packet[place : place + 2], "big") & 0x3FFF
            # Pointers lead strictly backwards, so there is no loop.
            if end > len(packet) or place >= lowest:
                raise Malformed("a name does not end")
            lowest = place
            continue
        if length > MAX_LABEL or place + 1 + length > len(packet) or len(name) + 1 + length > MAX_NAME:
            raise Malformed("a name is not valid")
        name += packet[place : place + 1 + length]
        place += 1 + length
        if length == 0:
            return name.lower(), place if end is None else end


def _follow_aliases(name: bytes, aliases: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the name whose records count. Raises `Malformed` for a name with two aliases, or too long a chain."""
    targets = dict(aliases)
    if len(targets) != len(aliases):
        raise Malformed("a name has two aliases")
    for _ in range(MAX_ALIASES):
        if name not in targets:
            return name
        name = targets[name]
    raise Malformed("too many aliases")


def _joined(data: bytes) -> bytes:
    """Return the strings of a TXT record, joined."""
    joined, place = b"", 0
    while place < len(data):
        length = data[place]
        if place + 1 + length > len(data):
            raise Malformed("a string is cut off")
        joined += data[place + 1 : place + 1 + length]
        place += 1 + length
    return joined
