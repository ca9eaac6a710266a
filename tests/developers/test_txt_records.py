"""TXT records, from a resolver of our own that answers with packets of dnspython, and with broken ones."""

import struct
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import pytest

from developers.proofs import LookupFailed, txt_records
from tests.core.servers import Resolver, answer_to, with_lines
from tests.shared import cases

NAME = "_agentgate.acme.com"


def framed(packet: bytes) -> bytes:
    return struct.pack("!H", len(packet)) + packet


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], []),
        ([f'{NAME}. TXT "one"', f'{NAME}. TXT "t" "wo"'], [b"one", b"two"]),
        ([f"{NAME.upper()}. TXT one"], [b"one"]),
        ([f"{NAME}. CNAME proofs.acme.net.", "proofs.acme.net. TXT one"], [b"one"]),
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


@cases(
    "tcp",
    [
        lambda packet: b"",
        lambda packet: framed(answer_to(packet, f"{NAME}. TXT one"))[:-3],
        lambda packet: framed(bytes([packet[0] ^ 1]) + answer_to(packet, f"{NAME}. TXT one")[1:]),
    ],
)
def test_a_broken_answer_by_tcp_is_not_an_answer(
    resolve: Callable[..., Resolver], tcp: Callable[[bytes], bytes]
) -> None:
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


def test_the_next_resolver_is_asked_if_one_fails(resolve: Callable[..., Resolver]) -> None:
    resolve(with_lines(code=dns.rcode.SERVFAIL))
    resolve(lambda packet: [])
    resolve(with_lines(f"{NAME}. TXT one"))
    assert txt_records(NAME) == [b"one"]


def test_says_why_no_resolver_answered(resolve: Callable[..., Resolver]) -> None:
    resolve(with_lines(code=dns.rcode.REFUSED))
    resolve(lambda packet: [])
    with pytest.raises(LookupFailed, match=r"REFUSED.*timed out"):
        txt_records(NAME)


@cases("name", ["a..b", "x" * 64 + ".com", ".".join(["x" * 60] * 5)])
def test_a_text_that_is_not_a_name_is_not_asked_for(resolve: Callable[..., Resolver], name: str) -> None:
    resolver = resolve(with_lines())
    with pytest.raises(LookupFailed):
        txt_records(name)
    assert resolver.asked == []


@cases(
    "lines",
    [
        [f"{NAME}. CNAME a.net.", f"a.net. CNAME {NAME}."],
        [f"{NAME}. CNAME a0.net.", *[f"a{number}.net. CNAME a{number + 1}.net." for number in range(30)]],
    ],
)
def test_aliases_that_lead_nowhere_have_no_records(resolve: Callable[..., Resolver], lines: list[str]) -> None:
    resolve(with_lines(*lines))
    with pytest.raises(LookupFailed):
        txt_records(NAME)
