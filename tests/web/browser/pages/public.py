"""Pages that anyone can open."""

from tests.web.browser.pages.group import Group, nothing

PUBLIC = [
    "/",
    "/scopes",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
    "/accounts/password/reset/key/usr_0-x/",
    "/accounts/inactive/",
    "/account/erased",
    "/nowhere",
]

GROUPS = [Group("public", nothing, PUBLIC)]
