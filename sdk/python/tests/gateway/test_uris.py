"""Globs and URI templates: which are refused, and that matching the others takes little time."""

from __future__ import annotations

import json
import time

import pytest

from agentgate_oauth.gateway.catalogue import find_line
from agentgate_oauth.gateway.config import ConfigError, Line, parse
from agentgate_oauth.gateway.inspection import is_usable
from agentgate_oauth.gateway.uris import MAX_URI, glob_of, is_of, problem_of

GOOD = (
    "notes://index",
    "repo://{owner}/{repo}/contents{/path*}",
    "files://{path*}",
    "files://{+path}{?ref,page}",
    "items://{id}{?fields}",
    "a://{b}/x-{c}.y/{d}/e{+f}/g{h}",
    "a://x?b={c}",
    "a://x?b={c}/{d}",
    "note://**/a-*/b?",
    "a://**/{b}/{c}/{d}/{e}/{f}/{g}/{h}",
)
BAD = {
    "n://{a}-{b}-{c}": "in one segment",
    "n://{a}{b}": "in one segment",
    "n://*-*": "in one segment",
    "n://{+a}/x/{+b}": "that span segments",
    "n://{a*}/x/{b*}": "that span segments",
    "n://**/x/**": "that span segments",
    "n://{a{b}": "braces",
    "n://{}": "braces",
}


@pytest.mark.parametrize("pattern", BAD)
def test_what_takes_long_to_match_is_refused(pattern: str) -> None:
    assert BAD[pattern] in (problem_of(pattern) or "")
    assert not is_usable("templates", pattern, {}) and is_usable("tools", pattern, {})
    resources = {pattern: {"scope": "n:read", "risk": "low"}}
    upstreams = {"n": {"url": "https://n", "resources": resources}}
    text = json.dumps(
        {
            "version": 1,
            "gate": "https://g",
            "name": "N",
            "identifier": "https://g/n",
            "upstreams": upstreams,
        }
    )
    with pytest.raises(ConfigError, match=r"upstreams\.n\.resources\..*" + BAD[pattern]):
        parse(text, "gateway.yaml")


@pytest.mark.parametrize("pattern", GOOD)
def test_what_is_matched_takes_time_in_proportion_to_the_uri(pattern: str) -> None:
    assert problem_of(pattern) is problem_of(glob_of(pattern)) is None
    line = Line(scope="n:read", risk="low")
    beginning = pattern.partition("{")[0].partition("*")[0]

    def seconds(length: int, filler: str, end: str) -> float:
        uri = (beginning + filler * length)[: length - 1] + end
        taken = []
        for _ in range(5):
            begun = time.process_time()
            for _ in range(20):
                find_line({pattern: line}, uri)
                is_of(pattern, uri)
            taken.append(time.process_time() - begun)
        return min(taken)

    for filler in ("-", "/", "x", "/x-", "x/", "&b=", "?b=", "/a-"):
        for end in ("\n", "/", "!"):
            # 4 if it is linear, 16 if it is quadratic.
            assert seconds(MAX_URI, filler, end) < 9 * seconds(MAX_URI // 4, filler, end), (filler, end)


@pytest.mark.parametrize(
    ("template", "yes", "no"),
    [
        ("n://{a}/b", "n://x/b", "n://x/y/b"),
        ("n://{path*}", "n://x/y", "m://x/y"),
        ("n://{+path}/end", "n://x/y/end", "n://x/y"),
        ("n://{a}{?b,c}", "n://x?b=1/2", "n://x/y?b=1"),
        ("n://x?b={b}", "n://x?b=1", "n://x"),
        ("n://x", "n://x#part", "n://xy"),
    ],
)
def test_which_uris_are_of_a_template(template: str, yes: str, no: str) -> None:
    assert problem_of(template) is None
    assert is_of(template, yes) and not is_of(template, no)


def test_a_longer_uri_matches_nothing() -> None:
    lines = {"n://**": Line(scope="n:read", risk="low")}
    assert find_line(lines, "n://".ljust(MAX_URI, "x"))
    assert find_line(lines, "n://".ljust(MAX_URI + 1, "x")) is None
    assert not is_of("n://{x}", "n://".ljust(MAX_URI + 1, "x"))
