"""The DNS client, against a resolver of our own that answers with packets of dnspython, and with broken ones."""

import random
import struct
from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from core import txt_records as client
from core.txt_records import LookupFailed, Malformed, Question, encode_name, read_answer, txt_records
from tests.core.servers import Resolver, answer_to, with_lines

NAME = "_agentgate.acme.com"
WIRE = encode_name(NAME)


def framed(packet: bytes) -> bytes:
    return struct.pack("!H", len(packet)) + packet


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], []),
        ([f'{NAME}. TXT "one"', f'{NAME}. TXT "t" "wo"'], [b"one", b"two"]),
        ([f"{NAME.upper()}. TXT one"], [b"one"]),
        ([f"{NAME}. CNAME proofs.acme.net.", "proofs.acme.net. TXT one"], [b"one"]),
        ([f"{NAME}. CNAME proofs.acme.net.", f"{NAME}. TXT one"], []),
        (["acme.com. TXT one", "_agentgate.evil.com. TXT two"], []),
        ([f"{NAME}. A 192.0.2.1", f"{NAME}. TXT one"], [b"one"]),
        ([f'{NAME}. TXT ""'], [b""]),
    ],
)
def test_returns_the_records_of_the_name(
    resolve: Callable[..., Resolver], lines: list[str], found: list[bytes]
) -> None:
    resolve(with_lines(*lines))
    assert sorted(txt_records(NAME)) == sorted(found)


def test_a_name_that_does_not_exist_has_no_records(resolve: Callable[..., Resolver]) -> None:
    resolve(with_lines(code=dns.rcode.NXDOMAIN))
    assert txt_records(NAME) == []


def test_a_truncated_answer_is_asked_for_by_tcp(resolve: Callable[..., Resolver]) -> None:
    long = f"{NAME}. TXT " + " ".join(["x" * 255] * 20)
    resolve(with_lines(flags=dns.flags.TC), lambda packet: framed(answer_to(packet, long)))
    assert txt_records(NAME) == [b"x" * 255 * 20]


@pytest.mark.parametrize(
    "tcp",
    [
        lambda packet: b"",
        lambda packet: framed(answer_to(packet, f"{NAME}. TXT one"))[:-3],
        lambda packet: framed(answer_to(packet, flags=dns.flags.TC)),
        lambda packet: framed(bytes([packet[0] ^ 1]) + answer_to(packet, f"{NAME}. TXT one")[1:]),
    ],
)
def test_a_broken_answer_by_tcp_is_no_answer(resolve: Callable[..., Resolver], tcp: Callable[[bytes], bytes]) -> None:
    resolve(with_lines(flags=dns.flags.TC), tcp)
    with pytest.raises(LookupFailed):
        txt_records(NAME)


def test_answers_to_other_questions_are_ignored(resolve: Callable[..., Resolver]) -> None:
    def forge(packet: bytes) -> list[bytes]:
        forged = answer_to(packet, f"{NAME}. TXT forged")
        other = dns.message.make_query("_agentgate.evil.com", "TXT", id=int.from_bytes(packet[:2], "big")).to_wire()
        address = dns.message.make_query(NAME, "A", id=int.from_bytes(packet[:2], "big")).to_wire()
        wrong = [bytes([forged[0] ^ 1]) + forged[1:], packet, answer_to(other, "_agentgate.evil.com. TXT forged")]
        return [
            b"",
            b"\0" * 5,
            *wrong,
            answer_to(address, f"{NAME}. TXT forged"),
            answer_to(packet, f"{NAME}. TXT one"),
        ]

    resolve(forge)
    assert txt_records(NAME) == [b"one"]


def test_ids_and_ports_change(resolve: Callable[..., Resolver]) -> None:
    resolver = resolve(with_lines())
    for _ in range(8):
        txt_records(NAME)
    assert len({packet[:2] for packet, _ in resolver.asked}) > 4
    assert len({sender[1] for _, sender in resolver.asked}) > 4


def test_the_next_resolver_is_asked_if_one_fails(
    resolve: Callable[..., Resolver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ATTEMPT_SECONDS", 1.0)
    resolve(with_lines(code=dns.rcode.SERVFAIL))
    resolve(lambda packet: [])
    resolve(with_lines(f"{NAME}. TXT one"))
    assert txt_records(NAME) == [b"one"]


def test_says_why_no_resolver_answered(resolve: Callable[..., Resolver], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ATTEMPT_SECONDS", 1.0)
    resolve(with_lines(code=dns.rcode.REFUSED))
    resolve(lambda packet: [])
    with pytest.raises(LookupFailed, match=r"answered with an error.*5.*; .*(timed out|in time)"):
        txt_records(NAME)


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".com", ".".join(["x" * 60] * 5), "münchen.de"])
def test_a_text_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"not a domain|too long|ascii"):
        encode_name(name)


@pytest.mark.parametrize(
    "lines",
    [
        [f"{NAME}. CNAME a.net.", f"{NAME}. CNAME b.net."],
        [f"{NAME}. CNAME a.net.", f"a.net. CNAME {NAME}."],
        [f"{NAME}. CNAME a0.net.", *[f"a{number}.net. CNAME a{number + 1}.net." for number in range(9)]],
    ],
)
def test_aliases_that_lead_nowhere_are_malformed(lines: list[str]) -> None:
    question = Question(7, WIRE)
    with pytest.raises(Malformed):
        read_answer(answer_to(question.packet, *lines), question)


def record(name: bytes, data: bytes, length: int | None = None, kind: int = client.TXT) -> bytes:
    return name + client.RECORD.pack(kind, client.IN, 60, len(data) if length is None else length) + data


@pytest.mark.parametrize(
    "broken",
    [
        record(b"\xc0\x0c", b"\x03one", 9),  # more data than there is
        record(b"\xc0\x0c", b"\x09one"),  # a string longer than the data
        record(b"\xc0\xff", b"\x03one"),  # a pointer beyond the packet
        record(b"\xc0", b""),
        record(b"\x40abc\0", b"\x03one"),  # a label of a reserved type
        record(b"\xc0\x0c", b"\xc0\x00", kind=client.CNAME)[:-1],
        b"\xc0\x0c\0\x10",
        b"\x3f" + b"x" * 30,
        b"",
    ],
)
def test_hostile_packets_are_malformed(broken: bytes) -> None:
    question = Question(7, WIRE)
    start = client.HEADER.pack(7, client.RESPONSE, 1, 1, 0, 0) + question.section
    with pytest.raises(Malformed):
        read_answer(start + broken, question)


def test_pointers_cannot_loop() -> None:
    question = Question(7, WIRE)
    start = client.HEADER.pack(7, client.RESPONSE, 1, 1, 0, 0) + question.section
    here = len(start)
    for pointer in (here, here + 1, here + 40):
        with pytest.raises(Malformed):
            read_answer(start + struct.pack("!H", 0xC000 | pointer) + record(b"", b"\x03one"), question)
    itself = record(b"\xc0\x0c", struct.pack("!H", 0xC000 | here + 12), kind=client.CNAME)
    with pytest.raises(Malformed):
        read_answer(start + itself, question)


def test_damaged_packets_are_read_or_malformed_but_never_fail() -> None:
    question, generator = Question(7, WIRE), random.Random(1)
    lines = [f"{NAME}. CNAME proofs.acme.net.", 'proofs.acme.net. TXT "one" "two"', "proofs.acme.net. TXT three"]
    whole = answer_to(question.packet, *lines)
    assert read_answer(whole, question) == [b"onetwo", b"three"]
    for _ in range(5000):
        packet = bytearray(whole[: generator.randint(0, len(whole))] if generator.random() < 0.3 else whole)
        for _ in range(generator.randint(1, 6)):
            if packet:
                packet[generator.randrange(len(packet))] = generator.randrange(256)
        try:
            found = read_answer(bytes(packet), question)
        except Malformed:
            continue
        assert found is None or all(isinstance(one, bytes) for one in found)


def test_the_resolvers_are_those_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(client, "RESOLV_CONF", file)
    assert client.resolvers() == [("127.0.0.1", 53)]
    file.write_text("# x\nnameserver 192.0.2.1\nsearch acme.com\nnameserver fe80::1%eth0\nnameserver\n"
                    "nameserver 2001:db8::1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n")  # fmt: skip
    assert client.resolvers() == [("192.0.2.1", 53), ("2001:db8::1", 53), ("192.0.2.2", 53)]
