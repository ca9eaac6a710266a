"""Create the toolkit's tables, a client, and access tokens. Print them as JSON.

`python -m benchmarks.dot.seed NUMBER` needs `DJANGO_SETTINGS_MODULE` and the database's variables.
"""

import json
import secrets
import sys
from datetime import timedelta

import django
from django.core.management import call_command
from django.utils import timezone


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from oauth2_provider.models import AccessToken, Application

    user = User.objects.create(username="ada")
    secret = secrets.token_urlsafe(32)
    # Not hashed: with the default hasher, each request with HTTP Basic would take a third of a second.
    application = Application.objects.create(
        name="Service",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        client_secret=secret,
        hash_client_secret=False,
        user=user,
    )
    expires = timezone.now() + timedelta(days=1)
    scopes = ["introspection", *["email:read"] * int(sys.argv[1])]
    tokens = [
        AccessToken(user=user, application=application, token=secrets.token_urlsafe(32), expires=expires, scope=scope)
        for scope in scopes
    ]
    AccessToken.objects.bulk_create(tokens)
    caller, *others = (token.token for token in tokens)
    print(json.dumps({"client": [application.client_id, secret], "bearer": caller, "tokens": others}))  # noqa: T201


if __name__ == "__main__":
    main()
