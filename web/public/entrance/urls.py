"""Sign-up, sign-in, sign-out, passwords and email addresses. Only the allauth pages in use, under its names."""

from allauth.account import views
from django.urls import path, re_path

from web.public.entrance import passkeys, second_step, sign_in
from web.public.entrance import sign_up as entrance
from web.requests.access import page
from web.user.account import addresses

urlpatterns = [
    path("signup/", entrance.sign_up, name="account_signup"),
    path("signup/confirm/", entrance.confirm, name="account_confirm_signup"),
    path("login/", sign_in.log_in, name="account_login"),
    path("second-step/", second_step.second_step, name="mfa_authenticate"),
    path("passkey/options/", passkeys.options, name="passkey_options"),
    path("passkey/login/", passkeys.sign_in, name="passkey_login"),
    path("passkey/reauthenticate/", passkeys.reauthenticate, name="passkey_reauthenticate"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", sign_in.reauthenticate, name="account_reauthenticate"),
    path("email/", addresses.addresses, name="account_email"),
    path("email/confirm/", addresses.confirm, name="account_confirm_email"),
    path("password/change/", page(views.password_change), name="account_change_password"),
    path("password/reset/", sign_in.forgot_password, name="account_reset_password"),
    path("password/reset/done/", views.password_reset_done, name="account_reset_password_done"),
    # allauth's own pattern for the link in the email does not allow the underscore in our ids.
    re_path(
        r"^password/reset/key/(?P<uidb36>usr_[0-9a-f]+)-(?P<key>.+)/$",
        entrance.choose_password,
        name="account_reset_password_from_key",
    ),
    path("password/reset/key/done/", sign_in.password_chosen, name="account_reset_password_from_key_done"),
]
