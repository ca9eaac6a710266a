"""The documentation, the API reference and the catalogue of scopes."""

from tests.web.browser.pages.group import Group, Page, nothing

DOCUMENTATION = [
    "/docs",
    "/docs?q=",
    "/docs?q=refresh+token",
    "/docs?q=reservationss",
    "/docs/start",
    "/docs/policies",
    "/docs/performance",
    Page("/docs/security", limit=200_000),  # a row per threat
    "/docs/security-users",
    "/docs/security-programs",
    "/docs/security-operations",
    "/docs/adr",
    "/docs/adr/0012",
    Page("/docs/nowhere", status=404),
]
REFERENCE = [
    "/docs/api-reference",
    "/docs/api-reference/createPolicy",
    "/docs/api-reference/verifyToken",
    "/docs/api-reference/getHealth",
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
    Group("reference", nothing, REFERENCE),
    Group("scopes", nothing, SCOPES),
]
