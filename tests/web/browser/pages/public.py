"""Pages that anyone can open."""

from tests.web.browser.pages.group import Group, Page, nothing, send

DEMO = "scopes=email:read&scopes=email:send&scopes=payments:charge&guard_offered=yes"

PUBLIC = [
    "/",
    f"/?decision=allow&{DEMO}&mode-email:send=allow",
    Page(f"/?decision=allow&{DEMO}&limit-amount-payments:charge=lots&limit-period-payments:charge=86400", status=422),
    "/scopes",
    Page("/oauth/authorize?client_id=nobody&response_type=code", status=400),
    Page(
        "/accounts/login/", send({"#id_login": "ada@example.com", "#id_password": "wrong"}, "Sign in"), "wrong password"
    ),
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/key/usr_0-x/",
    "/accounts/inactive/",
    "/account/erased",
    Page("/nowhere", status=404),
]

FURTHER = [
    f"/?decision=off&{DEMO}",
    "/?decision=deny",
    Page("/?decision=allow&guard_offered=yes", status=422),
    "/accounts/login/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
]

GROUPS = [Group("public", nothing, PUBLIC, FURTHER)]
