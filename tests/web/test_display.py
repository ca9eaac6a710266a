"""Redirect URIs and risk levels, as pages show them."""

import re
from pathlib import Path

from agents.destinations import destination
from core import marks
from resources.catalogue import catalogue
from resources.categories import CATEGORY_NAMES, category_name
from tests.shared import cases
from web.display.labels import csp_source, highest_risk, risk_level


@cases(
    ("uri", "shown", "source"),
    [
        ("https://app.example/cb?a=1", "app.example", "https://app.example"),
        ("https://app.example:8443/cb", "app.example:8443", "https://app.example:8443"),
        ("http://localhost:3000/cb", "this computer", "http://localhost:3000"),
        ("http://[::1]:3000/cb", "this computer", "http:"),
        ("com.example.app:/done", "an app on this device (com.example.app:)", "com.example.app:"),
        ("com.evil.app://accounts.google.com/cb", "an app on this device (com.evil.app:)", "com.evil.app:"),
        ("accounts.google.com:/cb", "an app on this device (accounts.google.com:)", "accounts.google.com:"),
        ("com.evil.app://localhost/cb", "an app on this device (com.evil.app:)", "com.evil.app:"),
        ("https://app.example;script-src/x", "app.example;script-src", "https:"),
    ],
)
def test_a_redirect_uri_has_a_displayed_destination_and_a_csp_source(uri, shown, source):
    assert destination(uri) == shown
    assert csp_source(uri) == source


def test_the_highest_risk_is_shown_and_an_unknown_one_is_the_highest():
    assert highest_risk(["low", "high", "standard"]) == "high"
    assert highest_risk([]) is None
    assert risk_level("made up") == 4


def test_each_category_has_a_name_as_its_brand_spells_it():
    assert {scope.category for scope in catalogue().values()} == set(CATEGORY_NAMES)
    assert (category_name("github"), category_name("crm"), category_name("email")) == ("GitHub", "CRM", "Email")
    assert category_name("acme") == "acme"


def test_an_agent_has_the_same_mark_everywhere_in_a_color_of_the_style_sheet():
    css = Path("static/css/components.css").read_text()
    assert tuple(re.findall(r"\.tint-\d+ \{ background: (#\w+); \}", css)) == marks.COLORS
    ids = [f"agt_{number}" for number in range(200)]
    assert {marks.tint(one) for one in ids} == set(range(len(marks.COLORS)))
    assert len({(marks.tint(one), marks.bars(one)) for one in ids}) > 190
    assert marks.bars("agt_1") == marks.bars("agt_1")
