"""Users, their sessions, known IP addresses and devices, notices, pending registrations and verification codes."""

from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Permission, PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models, transaction
from django.db.models.functions import Now, Upper
from django.utils.functional import cached_property

from accounts.addresses import normalize_email
from core.errors import Invalid
from core.fields import ExactCharField, ExactEmailField
from core.ids import PrefixedIdField
from core.text import PlainTextField


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create an administrator. The operator of the server vouches for the address, so it counts as verified."""
        with transaction.atomic(using=self._db):
            user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
            EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        try:
            return self.get(email=normalize_email(username or ""))
        except Invalid as error:
            raise self.model.DoesNotExist from error


class User(AbstractBaseUser, PermissionsMixin):
    """A user, identified by a normalized email address. `is_active=False` stops every agent that acts for them.

    `email` is the primary one of allauth's `EmailAddress` rows, which store whether an address is verified.
    """

    id = PrefixedIdField(prefix="usr")
    email = ExactEmailField(unique=True)
    name = PlainTextField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # Set while the user pauses all agents.
    agents_paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The IANA name of the zone in which pages and emails show times. Blank: the browser's, and UTC in emails.
    time_zone = models.CharField(max_length=64, blank=True)
    # The language of pages and emails, one of `settings.LANGUAGES`. Blank: the browser's, and English in emails.
    language = models.CharField(max_length=10, blank=True, db_default="")
    # "light" or "dark". Blank: the browser's.
    theme = models.CharField(max_length=5, blank=True, db_default="")
    # Which emails the user gets: when an agent waits for approval, when an agent may do something new, and when a
    # browser or program that is new to the account signs in. Emails about the account's security cannot be switched
    # off.
    approval_mails = models.BooleanField(default=True)
    grant_mails = models.BooleanField(default=True)
    device_mails = models.BooleanField(default=True)
    # When the user's data was erased. The row remains, because ended connections and tokens refer to it.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(Upper("name"), name="accounts_user_name_idx")]  # for searches in the admin site

    def __str__(self) -> str:
        return str(self.email)

    def check_password(self, raw_password: str) -> bool:
        """Return whether the password is right; rehash it if the hashing parameters have changed.

        The new hash replaces only the hash it was checked against, so that a password set meanwhile is kept.
        """

        def rehash(password: str) -> None:
            hashed = make_password(password)
            if User.objects.filter(pk=self.pk, password=self.password).update(password=hashed):
                self.password = hashed

        return bool(check_password(raw_password, self.password, rehash))

    def get_full_name(self) -> str:
        return str(self.name or self.email)

    def get_short_name(self) -> str:
        return str(self.name or self.email)

    @cached_property
    def permitted(self) -> frozenset[str]:
        """What the user's roles permit, such as "agents.view_agent". Django's backend needs two queries for it."""
        rows = Permission.objects.order_by().values_list("content_type__app_label", "codename")
        found = rows.filter(user=self).union(rows.filter(group__user=self)).order_by()
        return frozenset(f"{app}.{name}" for app, name in found)

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Return whether the user has a permission, which always applies to all rows of a model."""
        return self.is_active and (self.is_superuser or (obj is None and perm in self.permitted))

    def has_module_perms(self, app_label: str) -> bool:
        is_permitted = self.is_superuser or any(one.startswith(f"{app_label}.") for one in self.permitted)
        return self.is_active and is_permitted


class SessionToken(models.Model):
    """A user's API session. Only the digest of its token, `st_...`, is stored.

    `auth_hash` is Django's session auth hash, so a password change ends the session.
    """

    id = PrefixedIdField(prefix="ses")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="session_tokens")
    digest = ExactCharField(max_length=64, unique=True)
    auth_hash = models.CharField(max_length=64)
    user_agent = PlainTextField(max_length=300, blank=True)
    # Where and when the session was last used, accurate to a few minutes.
    ip = ExactCharField(max_length=45, blank=True)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class BrowserSession(AbstractBaseSession):
    """A session of a browser (`accounts.sessions`). `user_id` is the signed-in user, or None.

    The other columns are empty until a user signs in.
    """

    session_key = ExactCharField(max_length=40, primary_key=True)
    user_id = ExactCharField(max_length=64, null=True, db_index=True)
    user_agent = PlainTextField(max_length=300, blank=True)
    ip = ExactCharField(max_length=45, blank=True)
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)


class KnownAddress(models.Model):
    """A network from which a user has signed in. Guesses made elsewhere do not lock the user out there."""

    # The unique constraint's index also serves queries by user alone.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_addresses", db_index=False)
    digest = ExactCharField(max_length=64)
    last_seen_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "known addresses"
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="known_address_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.digest[:8]}"


class KnownDevice(models.Model):
    """A browser or program with which a user has signed in (`accounts.devices`)."""

    # As for `KnownAddress`.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_devices", db_index=False)
    digest = ExactCharField(max_length=64)
    last_seen_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="known_device_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.digest[:8]}"


class Notice(models.Model):
    """An email that waits for a worker (`accounts.notices`). `facts` are the values for its template.

    It goes to a user or, without one, to the address `email`, which may have an account or not.
    `due_at` is when a worker may send it, or send it again.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="notices")
    # Normalized. Empty if it goes to a user.
    email = ExactEmailField(blank=True, db_default="")
    name = models.CharField(max_length=40)
    facts = models.JSONField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class PendingRegistration(models.Model):
    """A registration that waits up to 15 minutes for its address to be verified. The account is created only then.

    `digest` is the digest of the emailed code, `password` is hashed, and `sender` is a keyed digest of the network that
    the request came from. A taken address gets a row too, but its code is never sent.
    """

    class Kind(models.TextChoices):
        """Where the registration is confirmed."""

        USER = "user"
        DEVELOPER = "developer"
        BROWSER = "browser"

    id = PrefixedIdField(prefix="reg", unguessable=True)
    kind = models.CharField(max_length=9, choices=Kind)
    email = ExactEmailField(db_index=True)
    name = PlainTextField(max_length=200, blank=True)
    language = models.CharField(max_length=10, blank=True, db_default="")
    password = models.CharField(max_length=128)
    digest = ExactCharField(max_length=64, unique=True)
    sender = ExactCharField(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class AddressCode(models.Model):
    """A code sent to an address that a user wants to verify. Only its digest is stored."""

    id = PrefixedIdField(prefix="adc")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="address_codes")
    email = ExactEmailField()
    digest = ExactCharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.id)
