"""Email to the log if no mail server is configured, as plain text so that links and codes can be copied."""

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend

BACKEND = "accounts.console_mail.EmailBackend"


class EmailBackend(ConsoleBackend):
    """Write plain text. Django's console backend writes quoted-printable, which breaks long links."""

    def write_message(self, message: EmailMessage) -> None:
        heading = f"To: {', '.join(message.to)}\nSubject: {message.subject}"
        self.stream.write(f"{heading}\n\n{message.body}\n{'-' * 79}\n")
