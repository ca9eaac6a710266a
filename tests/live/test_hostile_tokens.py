"""A token that we did not sign is `invalid_token`, quickly, without a row and without outgoing requests."""

import hashlib
import hmac
import json
import secrets
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.constants import base64url
from tests.live.gate import Developer, Gate, Json, decoded, expect, unbase64
from tests.live.server import LiveServer

CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
UNREACHABLE = "http://127.0.0.1:9/jwks"
MEDIAN_SECONDS = 0.05

Mutant = Callable[[str], Any]


def encode(part: Json) -> str:
    return base64url(json.dumps(part).encode())


def es256(signing_input: str, key: ec.EllipticCurvePrivateKey) -> str:
    r, s = decode_dss_signature(key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def resigned(token: str, header: Json | None = None, claims: Json | None = None) -> str:
    """Change the header and the claims, and sign with another key."""
    old_header, old_claims = decoded(token)
    signing_input = f"{encode({**old_header, **(header or {})})}.{encode({**old_claims, **(claims or {})})}"
    return f"{signing_input}.{es256(signing_input, ec.generate_private_key(ec.SECP256R1()))}"


def with_header(token: str, **changes: Any) -> str:
    """Change the header and keep the signature."""
    header, _ = decoded(token)
    _, claims, signature = token.split(".")
    return f"{encode({**header, **changes})}.{claims}.{signature}"


def with_claims(token: str, **changes: Any) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encode({**decoded(token)[1], **changes})}.{signature}"


def none_algorithm(token: str, name: str = "none", signature: str = "") -> str:
    header, claims = decoded(token)
    return f"{encode({**header, 'alg': name})}.{encode(claims)}.{signature}"


def hmac_signed(token: str, key: bytes, **header: Any) -> str:
    old, claims = decoded(token)
    signing_input = f"{encode({**old, 'alg': 'HS256', **header})}.{encode(claims)}"
    return f"{signing_input}.{base64url(hmac.digest(key, signing_input.encode(), hashlib.sha256))}"


def with_negated_s(token: str) -> str:
    """Replace s in the signature with n - s, which is valid too (malleability)."""
    head, _, signature = token.rpartition(".")
    raw = unbase64(signature)
    flipped = CURVE_ORDER - int.from_bytes(raw[32:], "big")
    return f"{head}.{base64url(raw[:32] + flipped.to_bytes(32, 'big'))}"


def flipped_bit(token: str, part: int) -> str:
    parts = token.split(".")
    text = parts[part]
    middle = len(text) // 2
    parts[part] = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
    return ".".join(parts)


def unused_bits(token: str) -> str:
    """Change an unused bit of the last letter. The encoding of 64 bytes leaves four of them unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


MUTANTS: dict[str, Mutant] = {
    "alg none": none_algorithm,
    "alg None": lambda token: none_algorithm(token, "None"),
    "alg none with a signature": lambda token: none_algorithm(token, "none", "AAAA"),
    "alg missing": lambda token: with_header(token, alg=None),
    "alg a list": lambda token: with_header(token, alg=["ES256"]),
    "alg HS256 with an empty key": lambda token: hmac_signed(token, b""),
    "alg HS256 with the key id as key": lambda token: hmac_signed(token, decoded(token)[0]["kid"].encode()),
    "alg ES384": lambda token: with_header(token, alg="ES384"),
    "other key": resigned,
    "other key, embedded": lambda token: resigned(token, {"jwk": {"kty": "EC", "crv": "P-256"}}),
    "other iss": lambda token: resigned(token, claims={"iss": "https://evil.example/oauth"}),
    "iss that starts like ours": lambda token: with_claims(token, iss=decoded(token)[1]["iss"] + ".evil.example"),
    "other sub": lambda token: with_claims(token, sub="usr_somebody"),
    "more scope": lambda token: with_claims(token, scope="payments:charge"),
    "later exp": lambda token: with_claims(token, exp=decoded(token)[1]["exp"] + 3600),
    "exp infinite": lambda token: with_claims(token, exp=1e999),
    "typ JWT": lambda token: with_header(token, typ="JWT"),
    "typ missing": lambda token: with_header(token, typ=None),
    "crit unknown": lambda token: with_header(token, crit=["exp2"], exp2=1),
    "crit unknown, other key": lambda token: resigned(token, {"crit": ["b64"], "b64": False}),
    "jku": lambda token: resigned(token, {"jku": UNREACHABLE}),
    "x5u": lambda token: resigned(token, {"x5u": UNREACHABLE}),
    "kid unknown": lambda token: with_header(token, kid="nobody"),
    "kid a path": lambda token: with_header(token, kid="../../../../dev/null"),
    "kid SQL": lambda token: with_header(token, kid="' OR 1=1 --"),
    "kid a number": lambda token: with_header(token, kid=7),
    "kid with NUL": lambda token: with_header(token, kid="a\x00b"),
    "header bit": lambda token: flipped_bit(token, 0),
    "claims bit": lambda token: flipped_bit(token, 1),
    "signature bit": lambda token: flipped_bit(token, 2),
    "signature, unused bits": unused_bits,
    "signature empty": lambda token: token.rsplit(".", 1)[0] + ".",
    "signature zero": lambda token: token.rsplit(".", 1)[0] + "." + base64url(bytes(64)),
    "two parts": lambda token: token.rsplit(".", 1)[0],
    "four parts": lambda token: token + ".AAAA",
    "five parts": lambda token: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA",
    "padding": lambda token: token + "==",
    "white space": lambda token: f" {token}",
    "newline": lambda token: f"{token}\n",
    "1 MB of claims": lambda token: with_claims(token, junk="x" * 750_000),
    "1 MB of header": lambda token: with_header(token, junk="x" * 750_000),
    "1 MB of dots": lambda _: "." * 1_000_000,
    "1 MB of letters": lambda _: "e" * 1_000_000,
    "deep claims": lambda token: ".".join([token.split(".")[0], base64url(b"[" * 100_000), token.split(".")[2]]),
    "deep header": lambda token: base64url(b'{"a":' * 100_000) + "." + token.split(".", 1)[1],
    "not text": lambda _: "\x00\x01\x02",
    "not ASCII": lambda token: f"é{token}",
    "compact JSON": lambda token: json.dumps({"token": token}),
    "an opaque string": lambda _: secrets.token_urlsafe(32),
    "a session token": lambda _: "st_" + secrets.token_urlsafe(32),
}


@pytest.fixture
def developer(gate: Gate) -> Developer:
    return gate.developer()


@pytest.fixture
def token(gate: Gate, developer: Developer) -> str:
    return str(gate.tokens(gate.agent(developer), gate.person())["accessToken"])


def test_a_manipulated_token_is_invalid_and_leaves_no_row(gate: Gate, shared_server: LiveServer, token: str) -> None:
    entries = shared_server.database.count_entries()
    for name, change in MUTANTS.items():
        assert gate.verify(change(token)) == {"allowed": False, "reason": "invalid_token"}, name
    assert shared_server.database.count_entries() == entries


@pytest.mark.soak
@pytest.mark.parametrize("name", MUTANTS)
def test_a_manipulated_token_takes_little_time(gate: Gate, token: str, name: str) -> None:
    mutant, seconds = MUTANTS[name](token), []
    for _ in range(9):
        began = time.perf_counter()
        gate.verify(mutant)
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < MEDIAN_SECONDS


def test_a_token_with_a_malleable_signature_is_revoked_with_the_original(gate: Gate, token: str) -> None:
    gate.post("/tokens/revoke", {"token": token})
    assert gate.verify(with_negated_s(token))["allowed"] is False


def test_a_refresh_token_is_not_an_access_token(gate: Gate, developer: Developer) -> None:
    tokens = gate.tokens(gate.agent(developer), gate.person())
    assert gate.verify(tokens["refreshToken"]) == {"allowed": False, "reason": "invalid_token"}


def test_garbage_leaves_no_row_and_the_valid_token_is_still_allowed(
    gate: Gate, shared_server: LiveServer, developer: Developer, token: str
) -> None:
    entries = shared_server.database.count_entries()
    for _ in range(20):
        gate.verify(secrets.token_urlsafe(60))
    assert shared_server.database.count_entries() == entries
    assert gate.verify(token)["allowed"] is True
    assert shared_server.database.count_entries() == entries + 1


def test_an_access_token_is_not_a_session_or_an_api_key(gate: Gate, token: str) -> None:
    for path in ("/users/me/consents", "/users/me/audit-logs", "/agents", "/policies", "/audit"):
        assert gate.get(path, Authorization=f"Bearer {token}").status_code == 401
        assert gate.get(path, X_Api_Key=token).status_code == 401


def test_a_denied_valid_token_is_logged_with_its_reason(gate: Gate, developer: Developer, token: str) -> None:
    decision = gate.verify(token, "payments:charge")
    assert decision["reason"] == "insufficient_scope"
    assert decision["missingScopes"] == ["payments:charge"]
    entry = next(each for each in gate.entries(developer) if each["id"] == decision["auditId"])
    assert (entry["outcome"], entry["reason"]) == ("denied", "insufficient_scope")
    expect(200, gate.get("/health"))
