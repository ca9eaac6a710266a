"""The resolver and the web server of `tests.core.servers`."""

from tests.core.servers import certificate, resolve, serve

__all__ = ["certificate", "resolve", "serve"]
