"""Pages that anyone can open."""

from tests.web.browser.pages.group import Group, nothing

DEMO = "scopes=email:read&scopes=email:send&scopes=payments:charge&guard_offered=yes"

PUBLIC = [
    "/",
    f"/?decision=allow&{DEMO}&mode-email:send=allow",
    f"/?decision=off&{DEMO}",
    "/?decision=deny",
    "/?decision=allow&guard_offered=yes",
    f"/?decision=allow&{DEMO}&limit-amount-payments:charge=lots&limit-period-payments:charge=86400",
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

GROUPS = [Group("public", nothing, PUBLIC), Group("style guide", nothing, ["/styleguide"], debug=True)]
