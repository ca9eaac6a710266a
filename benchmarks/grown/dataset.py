"""The rows of the grown database. The services make Acme, its first agent and Ada; SQL makes everything else."""

import json
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.conf import settings

from accounts.models import KnownAddress, SessionToken, User
from accounts.services import open_session, register_user
from agents.models import Agent
from audit.models import Entry
from benchmarks.grown import log
from benchmarks.grown.sizes import Sizes
from benchmarks.grown.sql import digest, fill, ident, moment, numbers, text
from benchmarks.rows import ACTOR, CALLBACK
from benchmarks.seed import SCOPES
from consent.models import Approval, Consent
from core import clock
from core.fields import PackedJSONField
from developers.models import Developer, Organization
from developers.services import register_developer
from limits.models import Reservation
from policies.models import Policy
from resources.catalogue import describe_scopes, snapshot
from resources.models import CustomScope, ResourceServer, ScopePrefix
from tokens.models import AccessToken, RefreshToken, TokenFamily

PASSWORD = "correct-horse-battery-7"
AMOUNT, CURRENCY = "12.50", "EUR"
CONTEXT = json.dumps({"recipient": "bob@example.com", "amount": {"value": AMOUNT, "currency": CURRENCY}})
# In turn: waits, was held back, approved once, approved for a time, and those that have ended.
STATUSES = "ARRAY['pending', 'pending', 'approved', 'approved', 'denied', 'expired', 'used', 'used']"
RULES = json.dumps([{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}])
# How many of Acme's policies are enabled: an organization may have 100, and the writes add theirs.
ACME_ENABLED = 50


class Dataset:
    """Fills the database. `n` is the number of a row; methods return the id of a row with another number."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.administrator = User.objects.create_superuser("root@example.com", PASSWORD)
        self.ada = register_user(actor=ACTOR, email="ada@example.com", password=PASSWORD, name="Ada")
        self.acme = register_developer(actor=ACTOR, name="Acme", email="dev@acme.example", password=PASSWORD)
        EmailAddress.objects.update(verified=True)
        # Their connections are as old as the rows below, and a new account may need fewer or more queries.
        User.objects.update(created_at=clock.now() - timedelta(days=90))

    def fill(self) -> dict[str, str]:
        """Insert everything and return the credentials."""
        self._add_users()
        self._add_organizations()
        self._add_services()
        self._add_agents()
        self._add_consents()
        self._add_approvals()
        self._add_reservations()
        self._add_tokens()
        self._add_entries()
        return {
            "api_key": self.acme.api_key,
            "session": open_session(actor=ACTOR, user=self.ada).token,
            "organization": self.acme.developer.organization_id,
        }

    def user(self, number: str) -> str:
        return ident("usr", f"mod({number}, {self.sizes.users})", self.sizes.users)

    def organization(self, number: str) -> str:
        return ident("org", f"mod({number}, {self.sizes.organizations})", self.sizes.organizations)

    def agent(self, number: str) -> str:
        return ident("agt", f"mod({number}, {self.sizes.agents})", self.sizes.agents)

    def owner(self, number: str) -> str:
        """Return the organization of the agent with this number. The first ones are Acme's."""
        is_acmes = f"mod({number}, {self.sizes.agents}) < {self.sizes.acme_agents}"
        return f"CASE WHEN {is_acmes} THEN {self._acme} ELSE {self.organization(number)} END"

    def consent(self, number: str) -> str:
        return ident("cns", f"mod({number}, {self.sizes.consents})", self.sizes.consents, digits=32)

    def consenting(self, number: str) -> str:
        """Return the user of the consent with this number. The first ones are Ada's, and others have three each."""
        place = f"mod({number}, {self.sizes.consents})"
        return f"CASE WHEN {place} < {self.sizes.connections} THEN '{self.ada.id}' ELSE {self.user(f'{place} / 3')} END"

    def server(self, number: str) -> str:
        return ident("res", f"mod({number}, {self.sizes.servers})", self.sizes.servers)

    def family(self, number: str) -> str:
        return ident("fam", f"mod({number}, {self.sizes.consents})", self.sizes.consents)

    @property
    def _acme(self) -> str:
        return f"'{self.acme.developer.organization_id}'"

    def _add_users(self) -> None:
        size = self.sizes.users
        email, made = "'user' || n || '@example.com'", moment("n", size)
        fill(User, numbers(size), id=self.user("n"), email=email, name="'User ' || n", password="'!'", created_at=made)
        fill(EmailAddress, numbers(size), user_id=self.user("n"), email=email, primary="true", verified="true")
        fill(KnownAddress, numbers(size), user_id=self.user("n"), digest=digest("address"), last_seen_at="now()")
        fill(
            SessionToken,
            numbers(size),
            id=ident("ses", "n", size),
            user_id=self.user("n"),
            digest=digest("session"),
            auth_hash="''",
            created_at=made,
            expires_at="now() + interval '1 hour'",
        )

    def _add_organizations(self) -> None:
        size = self.sizes.organizations
        made = moment("n", size)
        fill(
            Organization,
            numbers(size),
            id=self.organization("n"),
            name="'Organization ' || n",
            created_at=made,
            policy_version="md5('version' || n)",
        )
        fill(
            Developer,
            numbers(size),
            id=ident("dev", "n", size),
            user_id=self.user("n"),
            organization_id=self.organization("n"),
            created_at=made,
        )

    def _add_services(self) -> None:
        """Add Acme's resource servers. Each names a hundred scopes, most of them Acme's own."""
        scopes, servers = self.sizes.scopes, self.sizes.servers
        fill(ScopePrefix, numbers(1), prefix="'acme'", organization_id=self._acme)
        fill(
            CustomScope,
            numbers(scopes),
            id="'acme:scope' || n",
            organization_id=self._acme,
            risk_level="'low'",
            title="'Scope ' || n",
            description="'Use part ' || n",
            cannot="'use other parts'",
        )
        own = f"SELECT jsonb_agg('acme:scope' || mod(n * 7 + k, {scopes})) FROM generate_series(1, 98) AS k"
        fill(
            ResourceServer,
            numbers(servers),
            id=self.server("n"),
            organization_id=self._acme,
            name="'Service ' || n",
            identifier="'https://service' || n || '.example'",
            scopes=f'\'["email:read", "email:send"]\'::jsonb || ({own})',
        )

    def _add_agents(self) -> None:
        agents, policies = self.sizes.agents, self.sizes.policies
        fill(
            Agent,
            numbers(agents),
            id=self.agent("n"),
            organization_id=self.owner("n"),
            client_id="'agc_' || md5('client' || n)",
            name="'Agent ' || n",
            redirect_uris=text(CALLBACK),
            client_type=text(Agent.CLIENT_CONFIDENTIAL),
            authorization_grant_type=text(Agent.GRANT_AUTHORIZATION_CODE),
            allowed_scopes=f"'{json.dumps(SCOPES)}'",
            created=moment("n", agents),
        )
        # The first tenth is for Acme's agents, and the rest for those of others.
        number = f"CASE WHEN n < {policies // 10} THEN n ELSE n + {self.sizes.acme_agents} END"
        fill(
            Policy,
            numbers(policies),
            id=ident("pol", "n", policies),
            organization_id=self.owner(f"({number})"),
            agent_id=self.agent(f"({number})"),
            name="'Policy ' || n",
            rules=text(RULES),
            enabled=f"n < {ACME_ENABLED} OR mod({number}, {agents}) >= {self.sizes.acme_agents}",
            created_at=moment("n", policies),
        )

    def _add_consents(self) -> None:
        size = self.sizes.consents
        made = moment("n", size)
        packed = PackedJSONField().get_prep_value(snapshot(describe_scopes(SCOPES))) or b""
        fill(
            Consent,
            numbers(size),
            id=self.consent("n"),
            agent_id=self.agent("n"),
            organization_id=self.owner("n"),
            user_id=self.consenting("n"),
            status="CASE WHEN mod(n, 10) = 9 THEN 'revoked' ELSE 'approved' END",
            requested_scopes=f"'{json.dumps(SCOPES)}'",
            granted_scopes=f"'{json.dumps(SCOPES)}'",
            shown_scopes=f"decode('{packed.hex()}', 'hex')",
            redirect_uri=text(CALLBACK),
            created_at=made,
            decided_at=made,
            expires_at=f"now() + interval '{settings.CONSENT_LIFETIME.days} days'",
        )

    def _add_approvals(self) -> None:
        """Add the approvals of the last weeks: those that ended earlier were deleted. Every tenth is Ada's."""
        size, connections, turn = self.sizes.approvals, self.sizes.connections, "mod(n / 10, 8)"
        number, count = f"n + {3 * size}", 4 * size
        consent = f"CASE WHEN mod(n, 10) = 0 THEN mod(n / 10, {connections}) ELSE n + {connections} END"
        made = moment(number, count)
        fill(
            Approval,
            numbers(size),
            id=ident("apr", number, count),
            **self._of_connection(f"({consent})"),
            digest=digest("approval"),
            target_digest=digest("target"),
            status=f"({STATUSES})[{turn} + 1]",
            is_held=f"{turn} = 1",
            is_standing=f"{turn} = 3",
            asked_scopes="'[\"email:send\"]'",
            scopes="'[\"email:send\"]'",
            action="'email:send'",
            resource="'https://mail.example/messages/' || n",
            context=text(CONTEXT),
            created_at=made,
            expires_at=f"CASE WHEN {turn} < 4 THEN now() + interval '1 day' ELSE {made} + interval '1 hour' END",
            decided_at=f"CASE WHEN {turn} NOT IN (0, 1, 5) THEN {made} END",
            used_at=f"CASE WHEN {turn} > 5 THEN {made} END",
            notified_at=made,
        )

    def _add_reservations(self) -> None:
        """Add those that are held, and those that were resolved in the last days: earlier ones were deleted."""
        size, turn = self.sizes.reservations, "mod(n, 4)"
        fill(
            Reservation,
            numbers(size),
            id=ident("rsv", "n", size, digits=32),
            **self._of_connection("n"),
            audit_id="'log_' || md5('reserved' || n)",
            status=f"(ARRAY['held', 'committed', 'voided', 'lapsed'])[{turn} + 1]",
            amount=text(AMOUNT),
            final_amount=f"CASE WHEN {turn} = 1 THEN {text(AMOUNT)} ELSE '' END",
            currency=text(CURRENCY),
            created_at="now()",
            expires_at="now() + interval '1 day'",
            resolved_at=f"CASE WHEN {turn} > 0 THEN now() END",
        )

    def _of_connection(self, number: str) -> dict[str, str]:
        """Return the columns about the consent with this number, for a request to one of Acme's services."""
        return {
            "consent_id": self.consent(number),
            "user_id": self.consenting(number),
            "agent_id": self.agent(f"mod({number}, {self.sizes.consents})"),
            "organization_id": self.owner(f"mod({number}, {self.sizes.consents})"),
            "service_organization_id": self._acme,
            "server_id": self.server("n"),
        }

    def _add_tokens(self) -> None:
        consents, tokens = self.sizes.consents, self.sizes.tokens
        scope, resource = text(" ".join(SCOPES)), text(json.dumps([settings.API_URL]))
        fill(
            TokenFamily,
            numbers(consents),
            id=self.family("n"),
            application_id=self.agent("n"),
            user_id=self.consenting("n"),
            consent_id=self.consent("n"),
            scope=scope,
            resource=resource,
            created_at=moment("n", consents),
            expires_at="now() + interval '20 days'",
        )
        owner = f"mod(n, {consents})"
        shared = {"family_id": self.family("n"), "application_id": self.agent(owner), "user_id": self.consenting("n")}
        fill(
            AccessToken,
            numbers(tokens),
            id=ident("tok", "n", tokens),
            scope=scope,
            resource=resource,
            created=moment("n", tokens),
            expires="now() + interval '1 day' + n * interval '1 second'",
            **shared,
        )
        fill(
            RefreshToken,
            numbers(consents),
            id=ident("rft", "n", consents),
            token_checksum=digest("refresh"),
            created=moment("n", consents),
            expires="now() + interval '20 days'",
            consumed_at="CASE WHEN mod(n, 2) = 0 THEN now() END",
            **shared,
        )

    def _add_entries(self) -> None:
        """Add the log: decisions about all consents in turn, and at last denials of the first one."""
        rows = Consent.objects.order_by("id").values_list("id", "agent_id", "organization_id", "user_id")
        log.fill([log.Connection(*row) for row in rows], self.sizes.entries, self.sizes.denials)


def describe() -> dict[str, int]:
    """Return how many rows the biggest tables have."""
    models = (Entry, AccessToken, RefreshToken, TokenFamily, Consent, Approval, Reservation, Agent, Policy, User)
    return {model._meta.db_table: model._default_manager.count() for model in models}
