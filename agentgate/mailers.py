"""How mails are sent: by a mail server, or written to the log."""

from typing import Any

from agentgate.environment import Environment


def mailer(environment: Environment) -> dict[str, Any]:
    """Return the settings of the mailer. Without `EMAIL_HOST`, the default one writes mails to the log."""
    host = environment.text("EMAIL_HOST")
    if not host:
        backend = environment.text("EMAIL_BACKEND", "accounts.console_mail.EmailBackend")
        return {"BACKEND": backend, "OPTIONS": {}}
    options = {
        "host": host,
        "port": environment.number("EMAIL_PORT", 587),
        "username": environment.text("EMAIL_HOST_USER"),
        "password": environment.text("EMAIL_HOST_PASSWORD"),
        "use_tls": environment.flag("EMAIL_USE_TLS", default=True),
        # In seconds, for each step. A worker must not wait for a server that does not answer.
        "timeout": 10,
    }
    return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}
