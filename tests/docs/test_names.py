"""The files and modules that documents name exist, and there are as many of what they count as they say.

This holds for decisions of the past, too, because readers look for what they name. A decision describes a file that is
gone without its path.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.docs.test_links import CODE
from tests.live.server import ROOT
from tests.shared import cases
from tools.mutations import MUTATIONS

TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
TOP_FOLDERS = {name.partition("/")[0] for name in TRACKED if "/" in name}
PAGES = [name for name in TRACKED if name.endswith(".md")]
NAME = re.compile(r"`((?:[\w<][\w.<>*-]*/)*(?:[\w<][\w.<>*-]*)?)(?:::\w+)?`")
MODULE = re.compile(r"python -m ([\w.]+)")
EXTENSIONS = (".py", ".md", ".csv", ".html", ".css", ".toml", ".po", ".sha256")
# What runs and readers make, and a method of MCP.
NOT_OURS = ("var/", "secrets/", "docs/a.txt", "first.py", "tickets.py", "resources/subscribe")
NUMBERS = dict(enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")))
PROTOCOL = (ROOT / "sdk/python/src/agentgate_oauth/stores/protocol.py").read_text()
METHODS = PROTOCOL.partition("class SessionStore(")[2].count("\n    def ")
COUNTS = [
    ("tools/mutations.py", r"in (\w+) places", len(MUTATIONS)),
    ("CONTRIBUTING.md", r"it breaks (\w+) lines", len(MUTATIONS)),
    ("sdk/python/CONTRIBUTING.md", r"the (\w+) methods of `SessionStore`", METHODS),
    ("sdk/python/README.md", r"the (\w+) methods of `SessionStore`", METHODS),
]


def names_of(text: str) -> Iterator[str]:
    """Yield the files and folders that the text names: a path of a folder of ours, or a file without its folder."""
    for name in NAME.findall(CODE.sub("", text)):
        first = name.partition("/")[0]
        is_path = name.endswith(("/", *EXTENSIONS)) or ("/" in name and first in TOP_FOLDERS)
        if is_path and not name.startswith(("<", *NOT_OURS)):
            yield name


def exists(page: str, name: str) -> bool:
    """Tell whether a file of the repository has this path, in which `<word>` and `*` stand for a part of a name.

    A page of a package in `sdk/` may leave out the package's folders. A file may be named without its folder.
    """
    package = "/".join(page.split("/")[:2]) + "/" if page.startswith("sdk/") else ""
    above = f"(?:{package}(?:.*/)?)?" if package else "" if "/" in name else "(?:.*/)?"
    pattern = re.sub(r"<\\?\w+>|\\\*", "[^/]*", re.escape(name))
    wanted = re.compile(above + pattern + (".*" if name.endswith("/") else "(?:/.*)?"))
    return any(wanted.fullmatch(each) for each in TRACKED)


@cases("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    assert [name for name in names_of((ROOT / page).read_text()) if not exists(page, name)] == []


@cases("page", PAGES)
def test_every_module_that_a_page_runs_exists(page: str) -> None:
    modules = MODULE.findall((ROOT / page).read_text())
    ours = [PurePosixPath(*name.split(".")) for name in modules if name.partition(".")[0] in TOP_FOLDERS]

    assert [str(path) for path in ours if not {f"{path}.py", f"{path}/__main__.py"} & set(TRACKED)] == []


@cases(("page", "says", "number"), COUNTS)
def test_what_a_page_counts_is_so_many(page: str, says: str, number: int) -> None:
    assert {str(number), NUMBERS.get(number)} & {*re.findall(says, (ROOT / page).read_text())}
