"""Sign-up, sign-in, sign-out, passwords and email addresses. Includes only the allauth pages in use, by its names."""

from allauth.account import views
from django.urls import path, re_path

from web.access import page
from web.views import addresses, entrance

urlpatterns = [
    path("signup/", entrance.sign_up, name="account_signup"),
    path("signup/confirm/", entrance.confirm, name="account_confirm_signup"),
    path("login/", page(views.login), name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", page(views.reauthenticate), name="account_reauthenticate"),
    path("email/", addresses.addresses, name="account_email"),
    path("email/confirm/", addresses.confirm, name="account_confirm_email"),
    path("password/change/", page(views.password_change), name="account_change_password"),
    path("password/reset/", views.password_reset, name="account_reset_password"),
    path("password/reset/done/", views.password_reset_done, name="account_reset_password_done"),
    # allauth's own pattern for the link in the email does not allow the underscore in our ids.
    re_path(
        r"^password/reset/key/(?P<uidb36>usr_[0-9a-f]+)-(?P<key>.+)/$",
        entrance.choose_password,
        name="account_reset_password_from_key",
    ),
    path("password/reset/key/done/", views.password_reset_from_key_done, name="account_reset_password_from_key_done"),
]
