"""The token of a domain is found in DNS or on its website, and nowhere else."""

from collections.abc import Callable
from typing import Any

import pytest

from developers.proofs import PATH, Found, find_proof, statement
from tests.core.servers import HOST, send, with_lines
from tests.shared import cases

TOKEN = "0123456789abcdef"
RIGHT, WRONG = statement(TOKEN), statement("fedcba9876543210")


def record(text: str) -> str:
    return f'_agentgate.{HOST}. TXT "{text}"'


@pytest.mark.parametrize(
    ("lines", "content", "found"),
    [
        ([record("v=spf1 -all"), record(RIGHT)], b"", Found("dns")),
        ([], f"# proof\n {RIGHT} \r\n".encode(), Found("file")),
        ([record(WRONG)], RIGHT.encode(), Found("file")),
        ([record(WRONG)], WRONG.encode(), Found("", "other", "other")),
        ([record(f"x{RIGHT}")], f"{RIGHT}0".encode(), Found("", "absent", "other")),
        ([f'{HOST}. TXT "{RIGHT}"'], b"", Found("", "absent", "absent")),
        ([record(RIGHT.upper())], RIGHT.upper().encode(), Found("", "absent", "absent")),
        ([], b"x" * 5000, Found("", "absent", "unreachable")),
    ],
)
def test_finds_the_token(
    resolve: Callable[..., Any], serve: Callable[..., Any], lines: list[str], content: bytes, found: Found
) -> None:
    resolve(with_lines(*lines))
    asked = serve(lambda handler: send(handler, content))
    assert find_proof(HOST, TOKEN) == found
    assert asked == ([] if found.method == "dns" else [f"{HOST}:{_port()}{PATH}"])


def _port() -> int:
    from core import fetching

    return fetching.PORT


@cases(("status", "problem", "is_gone"), [(404, "absent", True), (410, "absent", True), (500, "unreachable", False)])
def test_tells_a_file_that_is_absent_from_a_website_that_is_down(
    resolve: Callable[..., Any], serve: Callable[..., Any], status: int, problem: str, is_gone: bool
) -> None:
    resolve(with_lines())
    serve(lambda handler: send(handler, RIGHT.encode(), status))
    found = find_proof(HOST, TOKEN)
    assert (found, found.is_gone) == (Found("", "absent", problem), is_gone)


def test_a_resolver_that_fails_is_not_a_proof(resolve: Callable[..., Any], serve: Callable[..., Any]) -> None:
    resolve(with_lines(code=2))
    serve(lambda handler: send(handler, b"", 404))
    found = find_proof(HOST, TOKEN)
    assert (found, found.is_gone) == (Found("", "unreachable", "absent"), False)
