"""The tables and examples of docs/ agree with the code."""

import json
import re

from api.v1.schemas.simulation import SimulateBody
from core.validation import parse
from docs.tables import stale_pages
from oauth.urls import urlpatterns as oauth_endpoints
from policies.rules import RULES, parse_rules
from tests.live.server import ROOT


def test_generated_tables_are_current() -> None:
    """`./dev fix` writes them."""
    assert [path.name for path in stale_pages()] == []


def test_the_environment_variables_are_those_that_are_read() -> None:
    source = "".join(path.read_text() for name in ("agentgate", "server") for path in (ROOT / name).glob("*.py"))
    read = set(re.findall(r"(?i)environment\.\w+\(\s*\"([A-Z_]+)\"", source))

    cells = re.findall(r"^\| (`[A-Z].*?) \|", (ROOT / "docs/configuration.md").read_text(), re.M)
    assert read == {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)}


def test_the_oauth_endpoints_are_those_that_are_routed() -> None:
    listed = re.findall(r"^\| `/(\S+)` \|", (ROOT / "docs/oauth.md").read_text(), re.M)
    routed = {str(pattern.pattern) for pattern in oauth_endpoints}

    assert set(listed) == {path for path in routed if "openid-configuration" not in path}


def test_the_examples_of_policies_are_valid() -> None:
    page = (ROOT / "docs/policies.md").read_text()
    policy, simulation = (json.loads(example) for example in re.findall(r"-d '(.*?)'\n```", page, re.S))
    condition, of_each_type = (json.loads(example) for example in re.findall(r"```json\n(.*?)```", page, re.S))
    cedar = [{"type": "cedar", "config": {"policy": text}} for text in re.findall(r"```cedar\n(.*?)```", page, re.S)]

    assert parse_rules(policy["rules"])
    assert parse(SimulateBody, simulation)
    assert parse_rules(simulation["policy"]["rules"])
    assert len(parse_rules([condition, *cedar])) == 2
    assert [rule.type for rule in parse_rules(of_each_type)] == sorted(RULES)
