"""Last touches to other apps' pages. This app stands last, so all others have registered theirs."""

from django.apps import apps
from django.contrib import admin

from core.administration import ReadOnlyAdmin

EMAIL_ADDRESS = apps.get_model("account", "EmailAddress")


class EmailAddressAdmin(ReadOnlyAdmin):
    """To read: whoever could add an address to an account could take the account over."""

    list_display = ["email", "user", "primary", "verified"]
    list_select_related = ["user"]
    list_filter = ["verified"]
    search_fields = ["email", "=user__id"]
    actions = None


admin.site.unregister([apps.get_model("oauth2_provider", "IDToken"), EMAIL_ADDRESS])
admin.site.register(EMAIL_ADDRESS, EmailAddressAdmin)
