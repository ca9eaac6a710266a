"""The rows of an organization with much data, on either database. Services make Acme, its developer and Ada."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings

from accounts.models import User
from accounts.services import open_session, register_user
from agents.models import Agent, ClientSecret
from approvals.models import Approval
from audit.models import Entry
from benchmarks.pages import log
from benchmarks.pages.entries import Cast, Connected, Denying, Story
from benchmarks.pages.inserting import insert, insert_all
from benchmarks.pages.sizes import Sizes, rules_of
from benchmarks.rows import ACTOR
from benchmarks.seed import CALLBACK
from consent.connections import CONSENT_LIFETIME
from consent.models import Consent
from core import clock, secrets
from core.ids import new_id
from developers.acting import as_developer
from developers.invitations import invite
from developers.models import Developer, DomainClaim, Organization
from developers.roles import Role
from developers.services import register_developer
from events.following import MAX_OUTSTANDING, follow_once
from events.models import Delivery, Webhook
from events.services import MAX_WEBHOOKS
from insights.services import count_log, delete_old_hours
from policies.models import Policy, PolicyVersion
from policies.rules import parse_rules
from policies.versions import content_of
from resources.catalogue import describe_scopes, snapshot
from resources.models import CustomScope, ResourceServer, ScopePrefix
from tokens.models import AccessToken, Delegation, RefreshToken, TokenFamily

SCOPES = ("email:read", "email:send", "calendar:read", "files:read", "crm:contacts:read", "payments:read")
EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery-7"
DEVELOPER, ADMINISTRATOR = "dev@acme.example", "root@example.com"
COLLEAGUE = "grace@acme.example"
CONTEXT = {"recipient": "bob@example.com", "amount": {"value": "12.50", "currency": "EUR"}}
SHADOW_EVERY, GENERAL_EVERY, DISABLED_EVERY = 7, 10, 20
COUNTED_AT_ONCE = 20_000
DELIVERIES = 20_000


class Dataset:
    """Fills the database. The services make Acme, its developer, Ada and the administrators."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.random = random.Random(7)
        self.ada = register_user(actor=ACTOR, email=EMAIL, password=PASSWORD, name="Ada")
        registered = register_developer(actor=ACTOR, name="Acme", email=DEVELOPER, password=PASSWORD)
        self._add_team(registered.developer)
        self.api_key, self.developer = registered.api_key, registered.developer
        self.acme = self.developer.organization
        EmailAddress.objects.update(verified=True)
        User.objects.create_superuser(ADMINISTRATOR, PASSWORD)

    def _add_team(self, owner: Developer) -> None:
        """Invite Ada, and add a colleague."""
        actor = as_developer(ACTOR, owner)
        invite(actor=actor, organization=owner.organization, email=EMAIL, role=Role.AUDITOR)
        colleague = register_user(actor=ACTOR, email=COLLEAGUE, password=PASSWORD, name="Grace")
        Developer.objects.create(user=colleague, organization=owner.organization, role=Role.DEVELOPER)

    def fill(self) -> dict[str, str]:
        """Insert everything and return the credentials."""
        scopes = self._add_services()
        self.agents = self._add_agents(scopes)
        self._add_policies()
        users = self._add_users()
        self._add_organizations(users)
        connected = self._add_connections(users)
        self._add_tokens(connected)
        self._add_approvals(connected)
        self._add_entries(connected)
        self._count()
        self._add_webhooks()
        return {
            "api_key": self.api_key,
            "session": open_session(actor=ACTOR, user=self.ada).token,
            "organization": self.acme.id,
        }

    def _add_services(self) -> list[str]:
        """Add Acme's own scopes and its resource servers. Return all scopes."""
        insert_all(ScopePrefix, [ScopePrefix(prefix="acme", organization=self.acme)])
        own = [f"acme:scope{number}" for number in range(self.sizes.scopes)]
        texts = {"risk_level": "low", "title": "Use a part of Acme", "description": "Use it", "cannot": "use others"}
        insert_all(CustomScope, [CustomScope(id=one, organization=self.acme, **texts) for one in own])

        def server(number: int, at: datetime) -> ResourceServer:
            return ResourceServer(
                organization=self.acme,
                name=f"Service {number}",
                identifier=f"https://service{number}.example",
                scopes=[*SCOPES, *own],
                created_at=at,
            )

        self.servers = insert(ResourceServer, self.sizes.servers, server, "res")
        return [*SCOPES, *own[:10]]

    def _add_agents(self, scopes: list[str]) -> list[Agent]:
        def agent(number: int, at: datetime) -> Agent:
            return self._agent(f"Assistant {number} of the sales team", self.acme, scopes, at)

        ids = insert(Agent, self.sizes.agents, agent, "agt")
        Agent.objects.filter(pk__in=ids[5::40]).update(status=Agent.Status.SUSPENDED)
        insert_all(ClientSecret, [self._secret(one, number) for one in ids for number in range(3)])
        return list(Agent.objects.filter(organization=self.acme).order_by("id"))

    def _agent(self, name: str, organization: Organization, scopes: list[str], at: datetime) -> Agent:
        return Agent(
            organization=organization,
            client_id=new_id("agc"),
            name=name,
            description="Answers mail, and keeps the calendar in order.",
            redirect_uris=CALLBACK,
            client_type=Agent.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Agent.GRANT_AUTHORIZATION_CODE,
            allowed_scopes=scopes,
            created=at,
        )

    def _secret(self, agent_id: str, number: int) -> ClientSecret:
        return ClientSecret(
            agent_id=agent_id,
            name=f"Server {number}",
            digest=secrets.digest(f"{agent_id} {number}"),
            last_four="abcd",
            created_at=clock.now(),
            last_used_at=clock.now(),
        )

    def _add_policies(self) -> None:
        """Add the policies: most for one agent, some for all, a few shadows and disabled ones."""

        def policy(number: int, at: datetime) -> Policy:
            is_general = number % GENERAL_EVERY == 0
            rules = rules_of(0 if is_general else number)  # what applies to all agents allows the measured requests
            parse_rules(rules)
            return Policy(
                organization=self.acme,
                agent=None if is_general else self.agents[number % len(self.agents)],
                name=f"Policy {number}: {rules[0]['type']}",
                rules=rules,
                mode=Policy.Mode.SHADOW if number % SHADOW_EVERY == 3 else Policy.Mode.ENFORCE,
                enabled=number % DISABLED_EVERY != DISABLED_EVERY - 1,
                created_at=at,
            )

        insert(Policy, self.sizes.policies, policy, "pol")
        policies = list(Policy.objects.order_by("id"))
        insert_all(PolicyVersion, [self._version(each) for each in policies])
        self.policies = self._by_agent([one for one in policies if one.mode == Policy.Mode.ENFORCE])
        self.shadows = self._by_agent([one for one in policies if one.mode == Policy.Mode.SHADOW])

    def _by_agent(self, policies: list[Policy]) -> dict[str, list[Denying]]:
        """Return the policies that apply to each agent, at least one."""
        found: dict[str, list[Denying]] = {agent.id: [] for agent in self.agents}
        for policy in policies:
            for agent_id in [policy.agent_id] if policy.agent_id else found:
                found[agent_id].append(Denying(policy.id, policy.name, policy.rules[0]["type"]))
        return found

    def _version(self, policy: Policy) -> PolicyVersion:
        return PolicyVersion(
            policy=policy,
            number=policy.version,
            content=content_of(policy),
            actor_kind="developer",
            actor_id=self.developer.id,
            created_at=policy.created_at,
        )

    def _add_users(self) -> list[str]:
        def user(number: int, at: datetime) -> User:
            return User(email=f"user{number}@example.com", name=f"User {number}", password="!", created_at=at)

        ids = list(insert(User, self.sizes.users, user, "usr"))
        emails = (
            EmailAddress(user_id=one, email=f"user{place}@example.com", verified=True) for place, one in enumerate(ids)
        )
        insert_all(EmailAddress, emails)
        User.objects.filter(pk=self.ada.pk).update(created_at=clock.now() - log.SPAN)
        return [self.ada.id, *ids]

    def _add_organizations(self, users: list[str]) -> None:
        """Add other organizations. Every tenth asks to be verified."""

        def organization(number: int, at: datetime) -> Organization:
            return Organization(name=f"Organization {number}", created_at=at, policy_version=new_id("pv"))

        ids = insert(Organization, self.sizes.organizations, organization, "org")
        insert_all(Developer, [Developer(user_id=users[1 + n], organization_id=one) for n, one in enumerate(ids)])

        def agent(number: int, at: datetime) -> Agent:
            owner = Organization(id=ids[number % len(ids)])
            return self._agent(f"Agent {number}", owner, list(SCOPES), at)

        insert(Agent, 2 * len(ids), agent, "agt")
        now, texts = clock.now(), {"token": "0" * 64, "method": DomainClaim.Method.DNS}
        times = dict.fromkeys(("created_at", "checked_at", "proved_at", "review_asked_at"), now)
        claims = [DomainClaim(organization_id=one, name=f"{one[-6:]}.example", **texts, **times) for one in ids[::10]]
        insert_all(DomainClaim, claims)

    def _add_connections(self, users: list[str]) -> list[Consent]:
        """Add the connections: of all users to the first agent, and of Ada to all agents."""
        first, *others = self.agents
        pairs = [(first, user) for user in users] + [(agent, self.ada.id) for agent in others]
        self.random.shuffle(pairs)
        shown = snapshot(describe_scopes(SCOPES))

        def consent(number: int, at: datetime) -> Consent:
            agent, user = pairs[number]
            return Consent(
                agent=agent,
                organization=self.acme,
                user_id=user,
                status=Consent.Status.REVOKED if number % 12 == 11 else Consent.Status.APPROVED,
                requested_scopes=list(SCOPES),
                granted_scopes=list(SCOPES[: 3 + number % 4]),
                shown_scopes=shown,
                redirect_uri=CALLBACK,
                created_at=at,
                decided_at=at,
                revoked_at=at if number % 12 == 11 else None,
                expires_at=clock.now() + CONSENT_LIFETIME,
            )

        insert(Consent, len(pairs), consent, "cns")
        return list(Consent.objects.order_by("id").only("id", "agent_id", "user_id", "granted_scopes", "revoked_at"))

    def _add_tokens(self, connected: list[Consent]) -> None:
        later, scope, resource = clock.now() + timedelta(days=20), " ".join(SCOPES), [settings.API_URL]

        def family(number: int, at: datetime) -> TokenFamily:
            one = connected[number]
            about = {"application_id": one.agent_id, "user_id": one.user_id, "consent_id": one.id}
            times = {"created_at": at, "expires_at": later, "revoked_at": one.revoked_at}
            return TokenFamily(scope=scope, resource=resource, **times, **about)

        ids = insert(TokenFamily, len(connected), family, "fam")

        def token(number: int, at: datetime) -> AccessToken:
            one = connected[number]
            about = {"application_id": one.agent_id, "user_id": one.user_id, "family_id": ids[number]}
            return AccessToken(scope=scope, resource=resource, created=at, expires=later, **about)

        insert(AccessToken, len(connected), token, "tok")

        def refresh(number: int, at: datetime) -> RefreshToken:
            one = connected[number]
            about = {"application_id": one.agent_id, "user_id": one.user_id, "family_id": ids[number]}
            return RefreshToken(token_checksum=secrets.digest(f"refresh {number}"), created=at, expires=later, **about)

        insert(RefreshToken, len(connected), refresh, "rft")
        self._add_delegations(connected, ids)

    def _add_delegations(self, connected: list[Consent], families: Sequence[str]) -> None:
        """Let the agent of each connection of Ada hand work to the next one, with a limit. Every third has ended."""
        pairs = [pair for pair in zip(connected, families, strict=True) if pair[0].user_id == self.ada.id]
        later = clock.now() + timedelta(hours=1)
        limit = {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}}

        def delegation(number: int, at: datetime) -> Delegation:
            (one, family), (other, _family) = pairs[number], pairs[(number + 1) % len(pairs)]
            return Delegation(
                consent_id=one.id,
                user_id=one.user_id,
                from_family_id=family,
                from_agent_id=one.agent_id,
                to_agent_id=other.agent_id,
                path=[],
                max_depth=4,
                scopes=list(SCOPES[:2]),
                limits={SCOPES[0]: [limit]},
                token_digest=secrets.digest(f"delegation {number}"),
                token_expires_at=later,
                created_at=at,
                expires_at=later,
                ended_at=at if number % 3 == 0 else None,
            )

        made = insert(Delegation, len(pairs), delegation, "del")
        rows = [Delegation(pk=one, path=[one]) for one in made]
        Delegation.objects.bulk_update(rows, ["path"], batch_size=500)

    def _add_approvals(self, connected: list[Consent]) -> None:
        hers = [one for one in connected if one.user_id == self.ada.id]
        later, statuses = clock.now() + timedelta(days=1), ("pending", "approved", "denied", "expired", "used")

        def approval(number: int, at: datetime) -> Approval:
            one = hers[number % len(hers)] if number % 4 == 0 else connected[number % len(connected)]
            status = statuses[number // 4 % len(statuses)]
            return Approval(
                consent=one,
                user_id=one.user_id,
                agent_id=one.agent_id,
                organization_id=self.acme.id,
                service_organization_id=self.acme.id,
                server_id=self.servers[number % len(self.servers)],
                digest=secrets.digest(f"digest {number}"),
                target_digest=secrets.digest(f"target {number}"),
                status=status,
                asked_scopes=["email:send"],
                scopes=["email:send"],
                action="email:send",
                resource=f"https://mail.example/messages/{number}",
                context=CONTEXT,
                created_at=at,
                expires_at=later,
                decided_at=None if status in ("pending", "expired") else at,
                used_at=at if status == "used" else None,
                notified_at=at,
            )

        insert(Approval, self.sizes.approvals, approval, "apr")

    def _add_entries(self, connected: list[Consent]) -> None:
        """Add the log. Half of its decisions are about the first agent, the others about all."""
        first = self.agents[0].id
        popular = [one for one in connected if one.agent_id == first][:5_000]
        others = [one for one in connected if one.agent_id != first]
        chosen = [*self.random.choices(popular, k=len(others)), *others]
        cast = Cast(
            organization_id=self.acme.id,
            developer_id=self.developer.id,
            connections=[Connected(one.id, one.agent_id, one.user_id, one.granted_scopes) for one in chosen],
            policies=self.policies,
            shadows=self.shadows,
            servers=self.servers,
        )
        log.write(Story(cast).drafts(self.sizes.entries), self.sizes.entries)

    def _count(self) -> None:
        """Count the log in the roll-ups."""
        while count_log(limit=COUNTED_AT_ONCE):
            pass
        while delete_old_hours(limit=COUNTED_AT_ONCE):
            pass

    def _add_webhooks(self) -> None:
        """Follow the log, and add as many webhooks as an organization can have, one with deliveries."""
        while follow_once():
            pass

        def webhook(number: int, at: datetime) -> Webhook:
            url = f"https://hooks{number}.acme.example/agentgate"
            return Webhook(organization=self.acme, url=url, types=["*"], secret_sealed=b"", created_at=at)

        webhook_id = insert(Webhook, MAX_WEBHOOKS, webhook, "whk")[0]
        sent = list(Entry.objects.filter(organizations__contains=self.acme.id).order_by("-leaf_index")[:DELIVERIES])

        def delivery(number: int, at: datetime) -> Delivery:
            entry, is_due = sent[number], number < MAX_OUTSTANDING
            return Delivery(
                webhook_id=webhook_id,
                entry_id=entry.id,
                leaf_index=entry.leaf_index,
                number=len(sent) - number,
                type=entry.event,
                status=Delivery.Status.RETRYING if is_due else Delivery.Status.DELIVERED,
                attempt=1,
                due_at=at if is_due else None,
                created_at=at,
                tried_at=at,
                response_status=503 if is_due else 200,
            )

        insert(Delivery, len(sent), delivery, "dlv")
