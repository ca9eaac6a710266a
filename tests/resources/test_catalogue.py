"""The catalogue of scopes and the validation of its file."""

import pytest

from resources.catalogue import COLUMNS, CatalogueError, catalogue, read_catalogue
from tests.shared import cases

HEADER = ",".join(COLUMNS)
ROW = "mail:read,mail,low,Read mail,See mail,send it,private untrusted,yes,no,mail:list mail:search,mail:send"


# Agents and consents use these scopes. Removing one or lowering its risk changes what users have agreed to.
PROMISED = {
    "low": "calendar:freebusy calendar:read profile:read shopping:cart",
    "standard": """
        email:read calendar:write github:repo:read github:pr:create github:issues:write crm:contacts:read
        crm:contacts:write crm:deals:read messaging:read files:read db:read payments:read profile:write slack:read
        notion:read notion:write linear:read linear:write cloud:read browser:read social:read
    """,
    "high": """
        email:send email:manage github:repo:write crm:deals:write messaging:send files:write db:write slack:send
        slack:channels:manage cloud:deploy browser:act social:post
    """,
    "critical": """
        github:pr:merge files:delete payments:charge cloud:manage browser:signin shopping:buy agents:delegate
    """,
}


@cases("risk", PROMISED)
def test_promised_scopes_keep_their_risk(risk):
    assert {catalogue()[scope_id].risk_level for scope_id in PROMISED[risk].split()} == {risk}


def test_labels_reversible_and_asks_are_read_from_the_catalogue():
    charge, read = catalogue()["payments:charge"], catalogue()["email:read"]
    assert (charge.labels, charge.is_reversible, charge.asks) == ({"outbound"}, False, True)
    assert (read.labels, read.is_reversible, read.asks) == ({"private", "untrusted"}, True, False)
    assert all(catalogue()[scope_id].asks for scope_id in ("browser:signin", "shopping:buy", "agents:delegate"))


@cases(
    "lines",
    [
        [HEADER.replace(",excludes", ""), ROW.removesuffix(",mail:send")],
        [f"{HEADER},color", f"{ROW},red"],
        [HEADER, ROW.removesuffix(",mail:send")],
        [HEADER, f"{ROW},more"],
        [HEADER, ROW, ROW],
        [HEADER, ROW, ROW.replace("mail", "chat"), ROW.replace("mail:read", "mail:send")],
        [HEADER, ROW.replace("mail:read", "mail")],
        [HEADER, ROW.replace("mail:read", "Mail:Read")],
        [HEADER, ROW.replace("low", "tiny")],
        [HEADER, ROW.replace("untrusted", "secret")],
        [HEADER, ROW.replace("yes,no", "yes,maybe")],
        [HEADER, ROW.replace("mail:list", "chat:list")],
        [HEADER, ROW.replace("mail:list", "mail:read")],
        [HEADER, ROW.replace("mail:send", "mail:list")],
        [HEADER, ROW.replace("mail:send", "send")],
        [HEADER, ROW.replace("yes,no", ",no")],
        [HEADER, ROW.replace("See mail", "")],
        [HEADER, ROW.replace("See mail", " See mail")],
        [HEADER, ROW.replace("See mail", "See\u202e mail")],
    ],
)
def test_an_invalid_file_is_an_error(lines):
    with pytest.raises(CatalogueError):
        read_catalogue(lines)


def test_a_valid_file_is_read():
    assert read_catalogue([HEADER, ROW])["mail:read"].labels == {"private", "untrusted"}
