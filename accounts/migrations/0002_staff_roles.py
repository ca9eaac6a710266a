"""The roles of administrators. Superusers can change them afterwards, and make others.

`migrate` creates permissions only after all migrations, so this one creates those that it needs.
"""

from typing import Any

from django.db import migrations

# What each role may read, and what it may act on, by app and model. To read is "view", to act "change".
PEOPLE = ["accounts.user", "accounts.sessiontoken", "accounts.knownaddress", "account.emailaddress"]
DEVELOPERS = ["developers.organization", "developers.developer", "developers.apikey", "agents.agent"]
DEVELOPERS += ["agents.clientsecret", "policies.policy", "resources.resourceserver"]
DEVELOPERS += ["resources.resourceserversecret", "resources.customscope", "resources.scopeprefix"]
CONSENT = ["consent.consent", "consent.authorizationcode", "tokens.tokenfamily", "tokens.accesstoken"]
CONSENT += ["tokens.refreshtoken"]
LOG = ["audit.entry"]
READ = [*PEOPLE, *DEVELOPERS, *CONSENT, *LOG]
STOPS = ["accounts.user", "developers.organization", "agents.agent", "policies.policy", "consent.consent"]
STOPS += ["tokens.tokenfamily"]
ROLES = {
    "Support": {"view": READ, "change": []},
    "Trust and safety": {"view": READ, "change": STOPS},
    "Operations": {"view": ["tokens.signingkey", "core.taskrun"], "change": ["tokens.signingkey"]},
}
# As `migrate` would name the permissions.
NAMES = {
    "sessiontoken": "session token",
    "knownaddress": "known address",
    "emailaddress": "email address",
    "apikey": "api key",
    "clientsecret": "client secret",
    "resourceserver": "resource server",
    "resourceserversecret": "resource server secret",
    "customscope": "custom scope",
    "scopeprefix": "scope prefix",
    "authorizationcode": "authorization code",
    "tokenfamily": "token family",
    "accesstoken": "access token",
    "refreshtoken": "refresh token",
    "signingkey": "signing key",
    "taskrun": "background task",
}


def make_roles(apps: Any, schema_editor: Any) -> None:
    group = apps.get_model("auth", "Group")
    for name, acts in ROLES.items():
        role, is_new = group.objects.get_or_create(name=name)
        if is_new:  # a group of this name that exists is the operator's own
            role.permissions.set(_permission(apps, act, label) for act, labels in acts.items() for label in labels)


def _permission(apps: Any, act: str, label: str) -> Any:
    app, model = label.split(".")
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label=app, model=model)
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename=f"{act}_{model}",
        defaults={"name": f"Can {act} {NAMES.get(model, model)}"},
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
