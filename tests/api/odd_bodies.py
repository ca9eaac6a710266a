"""Random bodies of verify, most of them usual, and odd values for each field."""

import random
from collections.abc import Sequence

from api.v1.schemas.tokens import MAX_CONTEXT_BYTES
from api.v1.usual import MAX_USUAL


def words(text: str) -> list[str]:
    return text.split()


# Values as they are written in JSON.
TEXTS = [
    *words(
        r'"" "a" "a\t" "a\nb" "\u0000" "\\u0000" "\u0041" "é" "\u00e9" "日本" "😀" "\ud83d\ude00" "\ud800" "\udc00a"'
    ),
    *words(r'"{[," "\"" "\/" "/"'),
    *words('"e\u0301" "a\u115f" "\ufeffa" "a\U000e0041" "e\u0301\u0301\u0301\u0301\u0301"'),
    *('" "', '"a b"', '" a"', '"a  b"', '"\t"', '"\u200f"', '"\u2028"', '"\x7f"'),
    *(f'"{"x" * size}"' for size in (200, 201, 2000, 2001)),
]
NUMBERS = [
    *words("0 -0 -0.0 1 -1 01 +1 1.0 0.1 1.10 1e3 1E3 1e16 1e400 NaN -Infinity 9007199254740991 9007199254740992"),
    *("-9007199254740992", "18446744073709551616", "1" * 5000),
]
OTHERS = [*words('null true false [] {} [[]] [{"a":1}] {"a":{"b":1}} [1,2] [1.5] [1.0] {"é":1} {"a":1.0}'), ""]
DEPTHS = (30, 31, 32, 33, 300, 1024, 1500)
DEEP = [*('{"a":' * depth + "1" + "}" * depth for depth in DEPTHS), *("[" * depth + "]" * depth for depth in DEPTHS)]
# UTF-16 and UTF-8 order these names differently.
UNORDERED = '{"ﬀ":1,"😀":2}'
LONG = [f"[{'1,' * 3000}1]", f'"{"y" * MAX_USUAL}"', f'"{"z" * MAX_CONTEXT_BYTES}"', f'"{"é" * 2000}"']
SCOPES = [
    *words(
        r'"email:read" "a1:b" "a:b" "Email:read" "email" "email:" "email:é" "email:read\n" "email:read\u0000" 7 null'
    ),
    *('"email:read "', f'"email:{"a" * 59}"', f'"email:{"a" * 60}"', f'"{"a" * 41}:b"'),
]
ADDRESSES = [
    *words(
        '"203.0.113.7" "::1" "0:0:0:0:0:0:0:1" "2001:DB8::1" "2001:db8::1" "::ffff:192.0.2.1" "192.0.2" "192.0.2.256"'
    ),
    *words('"fe80::1%eth0" "192.0.2.01" "\u0661.0.0.1" "" null 7 ["::1"] {}'),
    '" 192.0.2.1"',
]
NAMES = ["verb", "text", "task", "a", "ip", "amount", "é", "ﬀ", "😀", r"a\u0000", r"\ud800", "", "token", "__proto__"]
ANY = [*TEXTS, *NUMBERS, *OTHERS, *DEEP, UNORDERED, *LONG]
FIELDS = ("token", "requiredScopes", "action", "resource", "context")


class Body:
    """Writes a random body. Most of its fields are usual."""

    def __init__(self, source: random.Random) -> None:
        self._choice = source.choice
        self._random = source.random
        self._space = "" if self._is_usual(0.9) else source.choice([" ", "\n"])

    def write(self) -> bytes:
        written = self._object([self._member(name) for name in FIELDS if self._is_usual(0.97)])
        if not self._is_usual(0.97):
            written = self._choice(
                [written[:-1], f"{written}}}", f" {written}", f"[{written}]", f"\ufeff{written}", ""]
            )
        return written.encode("utf-8", "surrogatepass")

    def _member(self, name: str) -> tuple[str, str]:
        if not self._is_usual(0.98):
            name = self._choice(
                ["receipt", "explain", "reserve", "Token", "required_scopes", "to\\u006ben", "\\u0000", "token"]
            )
        if not self._is_usual(0.97):
            return name, self._choice(ANY)
        if name == "context":
            return name, self._object([self._context_member() for _ in range(int(5 * self._random()))])
        if name == "requiredScopes":
            return name, self._scopes()
        return name, self._choice(TEXTS if not self._is_usual(0.9) else ['"a"', '"a b"', '"https://a.example/1?b=%20"'])

    def _scopes(self) -> str:
        number = self._choice([1, 1, 1, 2, 2, 100, 101, 0])
        scopes = [self._choice(SCOPES) if not self._is_usual(0.9) else '"email:read"' for _ in range(min(number, 2))]
        return f"[{f',{self._space}'.join(scopes + ['"calendar:read"'] * (number - len(scopes)))}]"

    def _context_member(self) -> tuple[str, str]:
        name = self._choice(NAMES if not self._is_usual(0.7) else ["verb", "ip", "amount", "text", "to"])
        if name == "ip" and self._is_usual(0.9):
            return name, self._choice(ADDRESSES if not self._is_usual(0.6) else ['"203.0.113.7"', '"2001:db8::1"'])
        if name == "amount" and self._is_usual(0.9):
            return name, self._object([("value", self._choice(['"12.50"', "12", *NUMBERS])), ("currency", '"EUR"')])
        return name, self._choice(ANY if not self._is_usual(0.7) else ['"a"', '"é"', "1", "true", "null", '["a",1]'])

    def _object(self, members: Sequence[tuple[str, str]]) -> str:
        if members and not self._is_usual(0.97):
            members = [*members, self._choice(members)]  # a repeated name
        return "{" + f",{self._space}".join(f'"{name}":{self._space}{value}' for name, value in members) + "}"

    def _is_usual(self, share: float) -> bool:
        return self._random() < share
