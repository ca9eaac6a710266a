"""Settings of a server whose clients publish documents in a file, not on the web."""

from agentgate.settings import INSTALLED_APPS as PRODUCTS
from tests.live.settings import *  # noqa: F403 - all other settings stay

INSTALLED_APPS = [*PRODUCTS, "tests.oauth.documents.WebsitesInAFile"]
