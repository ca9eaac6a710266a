"""Mails to the log, where no mail server is configured: as plain text, so that links and codes can be copied."""

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend


class EmailBackend(ConsoleBackend):
    """Django's own prints quoted-printable, which breaks every link longer than a line."""

    def write_message(self, message: EmailMessage) -> None:
        heading = f"To: {', '.join(message.to)}\nSubject: {message.subject}"
        self.stream.write(f"{heading}\n\n{message.body}\n{'-' * 79}\n")
