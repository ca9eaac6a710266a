"""Pages, snippets and the command line read the server's URL and the API key from the same two variables."""

import re
from pathlib import Path

from tests.docs.test_links import PAGES
from tests.live.server import ROOT
from tests.shared import cases

SNIPPETS = sorted((ROOT / "templates/web/portal/overview/quickstart").glob("*.txt"))
SAMPLES = [ROOT / "web" / name for name in ("public/landing/samples.py", "portal/logs/detail.py")]
READ = re.compile(r"""\$\{?(\w+)|environ\["(\w+)"\]|export (\w+)=""")
OTHER_NAMES = {"GATE", "GATE_URL", "BASE_URL", "SERVER_URL", "KEY", "API_KEY", "GATE_KEY", "AGENTGATE_KEY"}


@cases("page", [*PAGES, *SNIPPETS, *SAMPLES])
def test_the_url_and_the_api_key_have_one_name_each(page: Path) -> None:
    read = {name for found in READ.findall(page.read_text()) for name in found if name}
    assert not read & OTHER_NAMES, "name it AGENTGATE_URL or AGENTGATE_API_KEY"
