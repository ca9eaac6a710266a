"""The file of scopes: read strictly, and promising nothing that no check holds."""

import pytest

from resources.catalogue import COLUMNS, CatalogueError, catalogue, read_catalogue

HEADER = ",".join(COLUMNS)
ROW = "mail:read,mail,low,Read mail,See mail,send it,private untrusted,yes,no"


def test_each_scope_has_its_labels_whether_it_can_be_undone_and_whether_it_is_to_be_asked():
    charge, read = catalogue()["payments:charge"], catalogue()["email:read"]
    assert (charge.labels, charge.is_reversible, charge.asks) == ({"outbound"}, False, True)
    assert (read.labels, read.is_reversible, read.asks) == ({"private", "untrusted"}, True, False)
    assert {scope.id for scope in catalogue().values() if scope.asks} == {
        "payments:charge",
        "browser:signin",
        "shopping:buy",
        "agents:delegate",
    }


@pytest.mark.parametrize(
    "lines",
    [
        [HEADER.replace(",asks", ""), ROW.removesuffix(",no")],
        [f"{HEADER},colour", f"{ROW},red"],
        [HEADER, ROW.removesuffix(",no")],
        [HEADER, f"{ROW},more"],
        [HEADER, ROW, ROW],
        [HEADER, ROW.replace("mail:read", "mail")],
        [HEADER, ROW.replace("low", "tiny")],
        [HEADER, ROW.replace("untrusted", "secret")],
        [HEADER, ROW.replace("yes,no", "yes,maybe")],
        [HEADER, ROW.replace("yes,no", ",no")],
        [HEADER, ROW.replace("See mail", "")],
        [HEADER, ROW.replace("See mail", " See mail")],
        [HEADER, ROW.replace("See mail", "See\u202e mail")],
    ],
)
def test_a_file_that_does_not_fit_is_refused(lines):
    with pytest.raises(CatalogueError):
        read_catalogue(lines)


def test_a_file_that_fits_is_read():
    assert read_catalogue([HEADER, ROW])["mail:read"].labels == {"private", "untrusted"}
