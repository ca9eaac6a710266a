"""Developers and users, as they come in and go out."""

from typing import Any

from rest_framework import serializers

from accounts.addresses import normalize_email
from api.strict import Line, Moment, StrictSerializer, Text, Whole
from core.errors import Invalid
from core.rotation import MAX_OVERLAP_SECONDS

MAX_NAME, MAX_EMAIL, MIN_PASSWORD, MAX_PASSWORD = 200, 254, 8, 1000
MAX_CODE = 40


class Email(serializers.EmailField):
    """An address, which is checked, kept and compared in its normalized form."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_EMAIL, trim_whitespace=False, **options)

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return normalize_email(data)
        except Invalid as error:
            raise serializers.ValidationError(error.detail) from error


class DeveloperRegistration(StrictSerializer):
    name = Line(max_length=MAX_NAME)
    email = Email()
    password = Text(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)


class UserRegistration(StrictSerializer):
    email = Email()
    password = Text(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)
    name = Line(max_length=MAX_NAME, required=False, allow_blank=True, default="")


class Login(StrictSerializer):
    email = Text(max_length=MAX_EMAIL)
    password = Text(max_length=MAX_PASSWORD)


class Confirmation(StrictSerializer):
    email = Text(max_length=MAX_EMAIL)
    code = Text(max_length=MAX_CODE)


class AddressConfirmation(StrictSerializer):
    code = Text(max_length=MAX_CODE)


class Rotation(StrictSerializer):
    overlapSeconds = Whole(source="overlap_seconds", min_value=0, max_value=MAX_OVERLAP_SECONDS, default=0)


class NewDeveloper(serializers.Serializer):
    """A developer just registered, with the first API key, which is shown this once."""

    id = serializers.CharField(source="developer.id")
    name = serializers.CharField(source="developer.organization.name")
    email = serializers.EmailField(source="developer.user.email")
    organizationId = serializers.CharField(source="developer.organization_id")
    apiKey = serializers.CharField(source="api_key")
    createdAt = Moment(source="developer.created_at")


class DeveloperSession(serializers.Serializer):
    """A developer's sign-in. The session token is shown this once."""

    id = serializers.CharField(source="developer.id")
    name = serializers.CharField(source="developer.organization.name")
    email = serializers.EmailField(source="session.user.email")
    sessionToken = serializers.CharField(source="token")
    expiresAt = Moment(source="session.expires_at")


class NewUser(serializers.Serializer):
    id = serializers.CharField()
    email = serializers.EmailField()
    name = serializers.CharField()
    createdAt = Moment(source="created_at")


class UserSession(serializers.Serializer):
    """A person's sign-in. The session token is shown this once."""

    id = serializers.CharField(source="session.user.id")
    email = serializers.EmailField(source="session.user.email")
    name = serializers.CharField(source="session.user.name")
    sessionToken = serializers.CharField(source="token")
    expiresAt = Moment(source="session.expires_at")


class VerificationRequired(serializers.Serializer):
    """A code is on its way to the address. The answer is the same for a taken address, to which a notice goes."""

    status = serializers.ChoiceField(choices=["verification_required"])


class Verified(serializers.Serializer):
    """The person's primary address is proved."""

    status = serializers.ChoiceField(choices=["verified"])


class RotatedApiKey(serializers.Serializer):
    """A new API key. Those before it work until `previousKeyExpiresAt`."""

    apiKey = serializers.CharField(source="value")
    previousKeyExpiresAt = Moment(source="previous_expires_at")
