"""The product's side of a story: each act by the service that a door would call, and what the model then knows."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from accounts.models import User
from accounts.services import deactivate_user, reactivate_user
from agents.models import Agent as AgentRow
from agents.services import lift_agent_stop, stop_agent, update_agent
from approvals.models import Approval as ApprovalRow
from approvals.services import approve_approval, deny_approval
from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import pause_agent, pause_all_agents, resume_agent, resume_all_agents
from consent.services import revoke_consent
from consent.terms import GivenTerms
from core import clock
from core.actor import SYSTEM
from core.errors import DomainError
from decisions.requests import Credential, Decision, VerifyRequest
from developers.models import Organization as OrganizationRow
from developers.services import reactivate_organization, suspend_organization, verify_organization
from developers.stopping import resume_organization, stop_organization
from policies.services import create_policy
from tests.decisions.drivers import Decide
from tests.decisions.oracle.calls import Policy, Reaction, Rule, Service
from tests.decisions.oracle.chains.model import LABELS, Model, left_of, targets_left
from tests.decisions.oracle.chains.rows import (
    Agent,
    Connection,
    Delegation,
    Family,
    Organization,
    Person,
    Question,
    Token,
)
from tests.decisions.oracle.oracle import OUR_AUDIENCE
from tests.world import ANONYMOUS, as_owner, as_user, ask, make_agent, make_caller, make_developer, make_user
from tests.world import make_resource_server as register
from tokens.delegations import Wanted, create_delegation, end_delegation
from tokens.exchange import exchange_code, redeem_delegation
from tokens.issuing import IssuedTokens
from tokens.models import Delegation as DelegationRow
from tokens.models import TokenFamily
from tokens.services import revoke_family

MODES = ("none", "developer", "verified")
# Agents and the scopes of services' organizations, whose number is that of each organization.
AGENTS = (4, 2, 1)
ALL = list(LABELS)


class World:
    def __init__(self, decide: Decide, policies: Sequence[tuple[int, int | None, Sequence[Rule]]]) -> None:
        """`policies` are the organization, the agent or None, and the rules, by the places of the first two."""
        self.decide = decide
        developers = [make_developer(f"dev{number}@example.com", f"Developer {number}") for number in range(4)]
        self.owners = {each.organization_id: each for each in developers}
        self.organizations = [Organization(each.organization_id) for each in developers]
        self.agents = [agent for number, many in enumerate(AGENTS) for agent in self.make_agents(number, many)]
        self.people = [Person(make_user(f"user{number}@example.com").id) for number in range(2)]
        self.callers: dict[str, Credential] = {}
        services = [self.make_service(number) for number in range(4)]
        self.model = Model(self.organizations, services, dict(self.make_policy(*each) for each in policies))
        self.tokens: list[Token] = []
        self.connections: list[Connection] = []
        self.delegations: list[Delegation] = []
        self.family_ids: dict[Family, str] = {}

    def make_agents(self, number: int, many: int) -> list[Agent]:
        owner = self.owners[self.organizations[number].id]
        made = [make_agent(owner, name=f"Agent {number} {place}", allowed_scopes=ALL) for place in range(many)]
        return [Agent(each.id, self.organizations[number], {*ALL}) for each in made]

    def make_service(self, number: int) -> Service:
        identifier, owner = f"https://service{number}.example", self.owners[self.organizations[number].id]
        server = register(owner, identifier, *ALL, name=f"Service {number}").server
        self.callers[server.id] = make_caller(server)
        return Service(server.id, identifier, owner.organization_id)

    def make_policy(self, organization: int, agent: int | None, rules: Sequence[Rule]) -> tuple[str, Policy]:
        own = self.organizations[organization]
        named = self.agents[agent].id if agent is not None and self.agents[agent].organization is own else None
        row = create_policy(
            actor=SYSTEM,
            organization=OrganizationRow.objects.get(pk=own.id),
            name="Bound",
            rules=rules,
            agent=AgentRow.objects.get(pk=named) if named else None,
        )
        return row.id, Policy(own.id, named, "enforce", tuple(rules))

    def connect(
        self,
        person: Person,
        agent: Agent,
        scopes: list[str],
        audience: Sequence[str],
        terms: Mapping[str, Any],
        mode: str,
    ) -> None:
        """Let the person allow the agent these scopes, on these terms, and to hand them on in this mode."""
        user, row = User.objects.get(pk=person.id), AgentRow.objects.get(pk=agent.id)
        resource = [name for name in audience if name != OUR_AUDIENCE]
        choice, now = Choice(terms=GivenTerms(**terms), delegation=mode), clock.now()
        asked = ask(row, scopes=scopes, resource=resource)
        granted = approve_consent(actor=as_user(user), consent=asked, user=user, choice=choice, signed_in_at=now)
        consent = granted.consent
        modes = {**terms.get("modes", {}), **dict.fromkeys({"payments:charge"} & {*scopes}, "ask")}
        connection = Connection(consent.id, person, agent, scopes, {**terms, "modes": modes}, consent.expires_at, mode)
        self.connections.append(connection)
        issued = exchange_code(actor=ANONYMOUS, agent=row, code=granted.code)
        self.keep(issued, Family(agent, connection, tuple(scopes), tuple(audience)), now + timedelta(days=2))

    def hand_over(self, token: Token, to: Agent, limits: Mapping[str, Any], **wanted: Any) -> DelegationRow | str:
        """Hand work over. Return the delegation, or the code of the error."""
        agent = AgentRow.objects.get(pk=token.family.agent.id)
        receiver = AgentRow.objects.get(pk=to.id)
        try:
            made = create_delegation(
                actor=ANONYMOUS.acting_as("agent", agent.id),
                agent=agent,
                token=token.text,
                wanted=Wanted(to=receiver.client_id, limits=limits, **wanted),
            )
        except DomainError as error:
            return error.code
        issued = redeem_delegation(actor=ANONYMOUS.acting_as("agent", to.id), agent=receiver, token=made.token)
        row = made.delegation
        targets = {scope: left for scope in row.scopes if (left := targets_left(token.family, scope)) is not None}
        targets |= {scope: {*pick.identifiers} for pick in wanted["targets"] for scope in pick.actions}
        bounds = targets, limits, row.task
        delegation = Delegation(row.id, token.family, to, tuple(row.scopes), *bounds, row.expires_at, row.max_depth)
        self.delegations.append(delegation)
        source = token.family
        family = Family(to, source.connection, delegation.scopes, source.audience, delegation)
        self.keep(issued, family, row.expires_at)
        return row

    def keep(self, issued: object, family: Family, ends: datetime) -> None:
        assert isinstance(issued, IssuedTokens), issued
        self.model.families.append(family)
        self.family_ids[family] = issued.family.id
        self.tokens.append(Token(issued.access_token, family, issued.scopes, ends.replace(microsecond=0)))

    def verify(self, questions: Sequence[Question]) -> list[Decision]:
        return self.decide(*map(self.request_of, questions))

    def request_of(self, question: Question) -> VerifyRequest:
        return VerifyRequest(
            token=question.token.text,
            required_scopes=question.scopes,
            actor=ANONYMOUS,
            credential=self.callers[question.asker.name] if question.asker else None,
            action=question.action,
            resource=question.resource,
            context=question.context,
        )

    def react(self, approval_id: str, reaction: Reaction) -> None:
        approval = ApprovalRow.objects.select_related("user").get(pk=approval_id)
        actor, user, now = as_user(approval.user), approval.user, clock.now()
        if reaction.answer == "denied":
            deny_approval(actor=actor, approval=approval, user=user)
        elif reaction.answer == "once":
            approve_approval(actor=actor, approval=approval, user=user, signed_in_at=now)
        else:  # also for what no door lets users approve for a time
            ends = now + timedelta(seconds=reaction.seconds)
            ApprovalRow.objects.filter(pk=approval_id).update(status="approved", is_standing=True, expires_at=ends)


class Acts:
    """What ends or narrows something, and what lifts it again, in the product and in the model."""

    def __init__(self, world: World) -> None:
        self.world = world

    def end(self, delegation: Delegation) -> None:
        row = DelegationRow.objects.get(pk=delegation.id)
        end_delegation(actor=as_user(row.user), delegation=row)
        delegation.is_ended = True

    def revoke(self, family: Family) -> None:
        row = TokenFamily.objects.select_related("application", "consent").get(pk=self.world.family_ids[family])
        revoke_family(actor=SYSTEM, family=row, reason="test")
        family.is_revoked = True

    def stop(self, agent: Agent) -> None:
        change = lift_agent_stop if agent.is_stopped else stop_agent
        change(actor=SYSTEM, agent=AgentRow.objects.get(pk=agent.id), reason="test")
        agent.is_stopped = not agent.is_stopped

    def suspend(self, agent: Agent) -> None:
        status = "active" if agent.is_suspended else "suspended"
        update_agent(actor=SYSTEM, agent=AgentRow.objects.get(pk=agent.id), changes={"status": status})
        agent.is_suspended = not agent.is_suspended

    def allow_scopes(self, agent: Agent, scopes: Sequence[str]) -> None:
        row = AgentRow.objects.get(pk=agent.id)
        update_agent(actor=SYSTEM, agent=row, changes={"allowed_scopes": list(scopes)})
        agent.scopes = {*scopes}

    def suspend_organization(self, organization: Organization) -> None:
        change = reactivate_organization if organization.is_suspended else suspend_organization
        change(actor=SYSTEM, organization=self.row_of(organization), reason="test")
        organization.is_suspended = not organization.is_suspended

    def stop_organization(self, organization: Organization) -> None:
        if organization.is_suspended:  # its members may change nothing
            return
        row = self.row_of(organization)
        change = resume_organization if organization.is_stopped else stop_organization
        change(actor=as_owner(row), organization=row, reason="test")
        organization.is_stopped = not organization.is_stopped

    def verify_organization(self, organization: Organization) -> None:
        row, is_verified = self.row_of(organization), not organization.is_verified
        assert verify_organization(actor=SYSTEM, organization=row, is_verified=is_verified, reason="test")
        organization.is_verified = is_verified

    def deactivate(self, person: Person) -> None:
        change = deactivate_user if person.is_active else reactivate_user
        change(actor=SYSTEM, user=User.objects.get(pk=person.id), reason="test")
        person.is_active = not person.is_active

    def pause_all(self, person: Person) -> None:
        if not person.is_active:
            return
        user = User.objects.get(pk=person.id)
        change = resume_all_agents if person.is_paused else pause_all_agents
        change(actor=as_user(user), user=user)
        person.is_paused = not person.is_paused

    def pause(self, connection: Connection) -> None:
        consent, user = self.consent_of(connection)
        if connection.is_revoked or not connection.person.is_active:
            return
        if connection.is_paused:
            resume_agent(actor=as_user(user), consent=consent, user=user)
        else:
            pause_agent(actor=as_user(user), consent=consent)
        connection.is_paused = not connection.is_paused

    def remove_scope(self, connection: Connection, scope: str) -> None:
        if connection.is_revoked or len(connection.scopes) < 2:
            return
        self.narrow(connection, Narrowing(remove_scopes=[scope]))
        connection.scopes.remove(scope)
        for family in self.world.model.families:
            if family.connection is connection:
                family.removed.add(scope)
        self.end_what_is_beyond(connection)

    def narrow_mode(self, connection: Connection, mode: str) -> None:
        """Let the agent hand work to fewer agents than before, if the connection has not ended."""
        if not connection.is_revoked and MODES.index(mode) <= MODES.index(connection.mode):
            self.narrow(connection, Narrowing(delegation=mode))
            is_same, connection.mode = mode == connection.mode, mode
            if not is_same:
                self.end_what_is_beyond(connection)

    def replace(self, connection: Connection, scopes: list[str], mode: str) -> None:
        """Grant a connection again: these scopes and no others, and the same terms."""
        person, agent = connection.person, connection.agent
        if connection.is_revoked or not person.is_active or not agent.may_act or not {*scopes} <= agent.scopes:
            return
        user, row = User.objects.get(pk=person.id), AgentRow.objects.get(pk=agent.id)
        choice = Choice(scopes=scopes, is_whole=True, delegation=mode)
        asked = ask(row, scopes=scopes)
        granted = approve_consent(
            actor=as_user(user), consent=asked, user=user, choice=choice, signed_in_at=clock.now()
        )
        connection.id, connection.mode, connection.ends = granted.consent.id, mode, granted.consent.expires_at
        taken = {*connection.scopes} - {*scopes}
        connection.scopes = list(scopes)
        for family in self.world.model.families:
            if family.connection is connection:
                family.removed |= taken & {*family.scopes}
        terms = {
            name: {scope: part[scope] for scope in part if scope in (*scopes, "data_flow")}
            for name, part in connection.terms.items()
        }
        connection.terms = terms
        self.end_what_is_beyond(connection)

    def narrow(self, connection: Connection, narrowing: Narrowing) -> None:
        consent, user = self.consent_of(connection)
        narrow_consent(actor=as_user(user), user=user, consent=consent, narrowing=narrowing)

    def end_what_is_beyond(self, connection: Connection) -> None:
        """End the delegations that the connection forbids, a verification aside, and those with nothing left."""
        for each in self.world.delegations:
            if each.source.connection is connection and not each.is_ended and each.ends > clock.now():
                root = each.source.agents[0].organization
                is_out = connection.mode == "none" or (
                    connection.mode == "developer" and each.agent.organization is not root
                )
                each.is_ended = is_out or not left_of(each)

    def revoke_connection(self, connection: Connection) -> None:
        if not connection.is_revoked:
            consent, user = self.consent_of(connection)
            revoke_consent(actor=as_user(user), consent=consent)
            connection.is_revoked = True

    @staticmethod
    def row_of(organization: Organization) -> OrganizationRow:
        return OrganizationRow.objects.get(pk=organization.id)

    @staticmethod
    def consent_of(connection: Connection) -> tuple[Consent, User]:
        consent = Consent.objects.select_related("user", "agent").get(pk=connection.id)
        return consent, consent.user
