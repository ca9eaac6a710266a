"""The documentation, the API reference and the catalogue of scopes."""

from tests.web.browser.pages.group import Group, Page, nothing

DOCUMENTATION = [
    "/docs",
    "/docs?q=refresh+token",
    "/docs?q=nothing+at+all",
    "/docs/policies",
    Page("/docs/security", limit=200_000),  # a row per threat
    "/docs/adr/0012",
    Page("/docs/nowhere", status=404),
    "/docs/api-reference",
    "/docs/api-reference/createPolicy",
    "/api/docs/errors",
]
SCOPES = [
    "/scopes?risk=critical",
    "/scopes?q=github+repo",
    "/scopes?q=nothing+at+all",
    "/scopes?risk=huge",
    "/scopes/email:send",
    "/scopes/payments:charge",
]

GROUPS = [
    Group("documentation", nothing, DOCUMENTATION),
    Group("scopes", nothing, SCOPES),
]
