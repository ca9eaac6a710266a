"""The documentation, the API reference and the catalogue of scopes."""

from tests.web.browser.pages.group import Group, Page, nothing

DOCUMENTATION = [
    "/docs",
    "/docs?q=refresh+token",
    Page("/docs/security", limit=200_000),  # a row per threat
    "/docs/api-reference",
    "/docs/api-reference/createPolicy",
    "/api/docs/errors",
]
SCOPES = [
    "/scopes?risk=critical",
    "/scopes?q=nothing+at+all",
    "/scopes/payments:charge",
]
FURTHER = [
    "/docs/people/approving",
    "/docs?q=nothing+at+all",
    "/docs/policies",
    "/docs/events",
    "/docs/gateway",
    "/docs/event-types",
    "/docs/adr/0012",
    Page("/docs/nowhere", status=404),
]

GROUPS = [
    Group("documentation", nothing, DOCUMENTATION, FURTHER),
    Group("scopes", nothing, SCOPES, ["/scopes?q=github+repo", "/scopes?risk=huge", "/scopes/email:send"]),
]
