"""The web server of `tests.core.servers`."""

from tests.core.servers import certificate, serve

__all__ = ["certificate", "serve"]
