"""Takes out of the admin site what we do not use. This app stands last, so all others have registered theirs."""

from django.apps import apps
from django.contrib import admin

admin.site.unregister(apps.get_model("oauth2_provider", "IDToken"))
