"""Random stories: agents hand work on, call, and what they may do ends and returns. A story depends on its number."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from consent.targets import Pick
from decisions.requests import Decision
from tests.decisions.drivers import Decide
from tests.decisions.oracle.calls import Reaction, Rule
from tests.decisions.oracle.chains.model import (
    LABELS,
    MAX_DEPTH,
    TARGET_FIELD,
    TARGET_TYPE,
    Answer,
    held_by,
    is_permitted,
    targets_left,
    why_not,
)
from tests.decisions.oracle.chains.rows import Agent, Delegation, Question, Token
from tests.decisions.oracle.chains.world import Acts, World
from tests.decisions.oracle.oracle import OUR_AUDIENCE, covers_target

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
# No sum of steps falls between the end of a window and the time for which a limit may still count a call.
STEP = timedelta(seconds=700)
WINDOWS = (1_000, 9_200)
SCOPES = list(LABELS)
PATTERNS = ("email:*", "email:read", "email:send", "payments:*", "calendar:write")
ACTIONS = ("email:search", "email:forward", "email:delete", "payments:charge", "tidy")
PEOPLE = ("ann@acme.com", "bob@acme.com", "eve@evil.com")
TARGETS = ("inbox", "archive", "drafts")
AMOUNTS = ("0.10", "12.50", "19.99", "30")
LIFETIMES = (timedelta(hours=1), timedelta(hours=5), timedelta(hours=12))
MOST_TOKENS, MOST_CONNECTIONS = 40, 6


class Story:
    """One story, told to the product and to the model at once."""

    def __init__(self, number: int, decide: Decide, set_clock: Callable[[datetime], None]) -> None:
        self.rng, self.number, self.set_clock = random.Random(number), number, set_clock
        self.now = START
        set_clock(self.now)
        self.seen: Counter[str] = Counter()
        self.told: list[str] = []
        self.windows = self.rng.sample(WINDOWS, 2)
        policies = [self.policy() for _ in range(self.rng.choice((0, 2, 4)))]
        self.world = World(decide, policies)
        self.model, self.acts = self.world.model, Acts(self.world)
        self.earlier: list[Question] = []
        for organization in self.world.organizations[1:2]:
            self.acts.verify_organization(organization)
        for _ in range(self.rng.choice((2, 3))):
            self.connect()

    def tell(self, delegations: int) -> None:
        """Go on until this many delegations were made or refused, and as many batches decided."""
        for _ in range(delegations):
            self.hand_over()
            for _ in range(self.rng.choice((0, 1, 2))):
                self.call()
            if self.chance(0.35):
                self.change()
            elif self.chance(0.4):
                self.heal()
            if self.chance(0.2):
                self.now += self.rng.choice((1, 1, 2)) * STEP
                self.set_clock(self.now)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def some(self, items: Sequence[str], probability: float) -> list[str]:
        return [item for item in items if self.chance(probability)] or [items[0]]

    # What bounds calls.

    def policy(self) -> tuple[int, int | None, list[Rule]]:
        makers = (self.rate_limit, self.rate_limit, self.spend_limit, self.match, self.blocklist, self.guard)
        rules = [self.rng.choice(makers)() for _ in range(self.rng.choice((1, 2)))]
        return self.rng.randrange(4), self.rng.choice((None, None, 0, 1, 2, 4)), rules

    def rate_limit(self) -> Rule:
        config = {"maxRequests": self.rng.choice((2, 4, 8)), **self.period(), **self.only_for(0.3)}
        return {"type": "rate_limit", "config": config}

    def spend_limit(self) -> Rule:
        config = {"maxAmount": self.rng.choice(("30.00", "60.09", "0.50")), "currency": "EUR", **self.period()}
        return {"type": "spend_limit", "config": {**config, **self.only_for(1)}}

    def match(self) -> Rule:
        condition = {"field": "recipient", "operator": "in", "values": list(self.rng.sample(PEOPLE, 2))}
        return {"type": "context_match", "config": {"conditions": [condition], **self.only_for(1)}}

    def blocklist(self) -> Rule:
        return {"type": "action_blocklist", "config": {"actions": [self.rng.choice(PATTERNS)]}}

    def guard(self) -> Rule:
        # It never shares what it remembers with a user's guard, which has no actions.
        then = self.rng.choice(("ask", "deny"))
        actions = ["calendar:*", "email:*", "payments:*"]
        return {"type": "data_flow", "config": {"windowSeconds": 9_200, "then": then, "actions": actions}}

    def period(self) -> dict[str, Any]:
        scope = self.rng.choice(("per_user", "per_agent", "global"))
        return {"windowSeconds": self.rng.choice(self.windows), "scope": scope}

    def only_for(self, probability: float) -> dict[str, Any]:
        return {"actions": [self.rng.choice(PATTERNS)]} if self.chance(probability) else {}

    def limits(self, scopes: Sequence[str], probability: float) -> dict[str, list[Rule]]:
        makers = (self.rate_limit, self.rate_limit, self.spend_limit, self.match)
        found = {scope: [self.rng.choice(makers)()] for scope in scopes if self.chance(probability)}
        for rules in found.values():
            rules[0]["config"].pop("actions", None)
        return found

    def targets(self, scopes: Sequence[str]) -> list[Pick]:
        if not self.chance(0.2):
            return []
        names = self.rng.sample(TARGETS, self.rng.choice((1, 2, 3)))
        return [Pick(TARGET_TYPE, names, [self.rng.choice(scopes)])]

    def token(self) -> Token:
        """Return any token, but usually one of the later ones that still hold."""
        tokens = self.world.tokens
        live = [each for each in tokens[-MOST_TOKENS:] if why_not(each, self.now) is None]
        return self.rng.choice(live if live and self.chance(0.8) else tokens)

    def receiver(self, token: Token) -> Agent:
        """Return any agent, but usually one to which the work may be handed."""
        family, agents = token.family, self.world.agents
        fitting = [each for each in agents if is_permitted(family, each) and each.may_act and each not in family.agents]
        return self.rng.choice(fitting if fitting and self.chance(0.9) else agents)

    # What happens.

    def connect(self) -> None:
        taken = {(each.person, each.agent) for each in self.world.connections}
        pairs = [(person, agent) for person in self.world.people for agent in self.world.agents[:5:2]]
        person, agent = self.rng.choice([each for each in pairs if each not in taken])
        scopes = self.some(SCOPES, 0.9)
        terms = {
            "modes": {scope: "ask" for scope in scopes if scope != "payments:charge" and self.chance(0.1)},
            "limits": self.limits(scopes, 0.2),
            "guards": {"data_flow": self.rng.choice(("ask", "deny"))} if self.chance(0.4) else {},
        }
        named = [each.identifier for each in self.model.services if self.chance(0.3)]
        audience = named or [OUR_AUDIENCE]
        mode = self.rng.choice(("developer", "verified", "verified"))
        self.world.connect(person, agent, scopes, audience, terms, mode)

    def hand_over(self) -> None:
        """Hand work over, usually within what is allowed, and compare whether it succeeds."""
        token = self.token()
        to = self.receiver(token)
        held = held_by(token.family)
        scopes = self.some(held, 0.8) if held and self.chance(0.95) else [self.rng.choice(SCOPES)]
        wanted = {"scopes": scopes, "lifetime": self.rng.choice(LIFETIMES), "task": self.rng.choice(("", "", "t1"))}
        if self.chance(0.1):
            wanted["max_depth"] = self.rng.choice((1, 2, 3))
        wanted["targets"], limits = self.targets(scopes), self.limits(scopes, 0.2)
        expected = self.refusal(token, to, **wanted)
        made = self.world.hand_over(token, to, limits, **wanted)
        refused = made if isinstance(made, str) else None
        self.note(f"{token.family.agent.id} hands {scopes} to {to.id}: {refused}, expected {expected}")
        assert refused in expected if expected else refused is None, self.explain()
        self.seen[f"handed over: {refused}"] += 1
        if refused is None:
            self.require_narrower(self.world.delegations[-1], wanted)

    def refusal(self, token: Token, to: Agent, **wanted: Any) -> set[str]:
        """Return the errors that may refuse to hand this over. One of them must, if there are any."""
        family, depth = token.family, len(token.family.chain) + 1
        most = family.delegation.most if family.delegation else MAX_DEPTH
        task = family.delegation.task if family.delegation else ""
        asked_depth, held = wanted.get("max_depth") or most, held_by(family)
        connection = family.connection
        is_over = why_not(token, self.now) or connection.is_revoked or connection.ends <= self.now
        named = [each for each in self.model.services if each.identifier in family.audience]
        is_over = is_over or (bool(named) and all(map(self.model.is_closed, named)))
        refusals = {
            "invalid_grant": is_over or not connection.agent.may_act or not held_by(self.first_of(token)),
            "delegation_not_allowed": (
                to in family.agents
                or not (to.may_act and family.agent.may_act)
                or not is_permitted(family, to)
                or depth > most
            ),
            "invalid_scope": not {*wanted["scopes"]} <= ({*held} & to.scopes),
            "invalid_target": any(
                not {*pick.identifiers} <= left
                for pick in wanted["targets"]
                for scope in pick.actions or ()
                if (left := targets_left(family, scope)) is not None
            ),
            "validation_failed": not depth <= asked_depth <= most or (task and wanted["task"] not in ("", task)),
        }
        return {error for error, is_so in refusals.items() if is_so}

    @staticmethod
    def first_of(token: Token) -> Any:
        family = token.family
        return family.chain[0].source if family.chain else family

    def require_narrower(self, made: Delegation, wanted: dict[str, Any]) -> None:
        above = made.source.chain
        assert {*made.scopes} == {*wanted["scopes"]}
        assert made.ends == min([self.now + wanted["lifetime"], *(each.ends for each in above)]), self.explain()
        assert made.most <= min([MAX_DEPTH, *(each.most for each in above)])
        assert made.task == (above[-1].task if above and above[-1].task else wanted["task"])

    def call(self) -> None:
        """Ask about some calls at once, and compare the answers. Then let the users answer what they were asked."""
        questions = [self.question() for _ in range(self.rng.choice((1, 1, 2, 3)))]
        self.earlier += questions
        answers = [self.model.decide(question) for question in questions]
        decisions = self.world.verify(questions)
        for question, answer, decision in zip(questions, answers, decisions, strict=True):
            self.compare(question, answer, decision)
        for question, answer, decision in zip(questions, answers, decisions, strict=True):
            if answer.asked in self.model.asking.approvals and decision.approval_id:
                self.react(question, answer, decision.approval_id)

    def question(self) -> Question:
        if self.earlier and self.chance(0.4):
            return replace(self.rng.choice(self.earlier[-6:]), at=self.now)
        token = self.token()
        held = held_by(token.family)
        is_usual = held and self.chance(0.9)
        scopes = self.rng.sample(held if is_usual else SCOPES, 1 if not is_usual or len(held) < 2 else 2)
        audience = [each for each in self.model.services if each.identifier in token.family.audience]
        own = [each for each in self.model.services if self.chance(0.5)]
        askers = (None, *(audience or own)) if self.chance(0.95) else self.model.services
        named = self.rng.choice(audience or self.model.services).identifier if self.chance(0.6) else None
        return Question(
            at=self.now,
            token=token,
            asker=self.rng.choice(askers),
            scopes=tuple(scopes[: self.rng.choice((1, 1, 2))]),
            action=self.rng.choice(ACTIONS) if self.chance(0.1) else None,
            resource=named,
            context=self.context(),
        )

    def context(self) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self.chance(0.8):
            given["recipient"] = self.rng.choice(PEOPLE)
        if self.chance(0.8):
            given["amount"] = {"value": self.rng.choice(AMOUNTS), "currency": "EUR"}
        if self.chance(0.7):
            given[TARGET_FIELD] = self.rng.choice(TARGETS)
        if self.chance(0.3):
            given["task"] = self.rng.choice(("t1", "t2"))
        return given

    def react(self, question: Question, answer: Answer, approval_id: str) -> None:
        assert answer.asked is not None
        if answer.asked.answer != "pending":
            return
        is_plain = "recipient" in question.context and covers_target(answer.asked.call, answer.asked.call)
        kind = self.rng.choice(("once", "once", "target", "denied", None))
        if kind is None or (kind == "target" and not is_plain):
            return
        reaction = Reaction(kind, 5_000)
        self.world.react(approval_id, reaction)
        self.model.react(answer.asked, reaction, self.now)

    def compare(self, question: Question, answer: Answer, decision: Decision) -> None:
        token = question.token
        self.note(
            f"{[each.id for each in token.family.agents]} ask for {question.scopes} {question.action} at "
            f"{question.asker}, {question.resource}, {question.context}: {answer}; the product says "
            f"{decision.reason or 'allowed'} by {decision.policy}, missing {decision.missing_scopes}"
        )
        assert (decision.allowed, decision.reason) == (answer.reason is None, answer.reason), self.explain()
        assert {*decision.missing_scopes} == answer.missing, self.explain()
        assert answer.reason != "policy_denied" or decision.policy, self.explain()
        if decision.policy and answer.reason == "policy_denied":
            assert decision.policy.policy_id in answer.bounds, self.explain()
        assert {*decision.granted_scopes} == {*held_by(token.family)} & {*token.scopes}, self.explain()
        chain = token.family.chain
        expected = [(token.family.agents[0].id, None), *((each.agent.id, each.id) for each in chain)]
        shown = [(link.agent_id, link.delegation_id) for link in decision.chain]
        assert shown == (expected if chain else []), self.explain()
        self.seen["calls"] += 1
        self.seen[f"{answer.reason or 'allowed'} at depth {len(chain)}"] += 1
        self.seen[answer.reason or "allowed"] += 1

    def change(self) -> None:
        """End, narrow or lift something."""
        world, acts, rng = self.world, self.acts, self.rng
        live = [each for each in world.delegations if not each.is_ended]
        families = [each.family for each in world.tokens if not each.family.is_revoked]
        many: list[tuple[int, Callable[[], None]]] = [
            (6, lambda: acts.end(rng.choice(live)) if live else None),
            (2, lambda: acts.revoke(rng.choice(families[1:])) if len(families) > 5 else None),
            (3, lambda: acts.stop(self.flip(world.agents, "is_stopped"))),
            (3, lambda: acts.suspend(self.flip(world.agents, "is_suspended"))),
            (3, self.change_scopes),
            (2, lambda: acts.suspend_organization(self.flip(world.organizations, "is_suspended"))),
            (2, lambda: acts.stop_organization(self.flip(world.organizations, "is_stopped"))),
            (2, lambda: acts.verify_organization(rng.choice(world.organizations[:3]))),
            (2, lambda: acts.deactivate(self.flip(world.people, "is_active", good=True))),
            (2, lambda: acts.pause_all(self.flip(world.people, "is_paused"))),
            (2, lambda: acts.pause(self.flip(world.connections, "is_paused"))),
            (2, self.remove_scope),
            (3, self.change_mode),
        ]
        act = rng.choices([each for _, each in many], [weight for weight, _ in many])[0]
        act()
        self.note(f"change {[each for _, each in many].index(act)}")

    def flip(self, rows: Sequence[Any], name: str, *, good: bool = False) -> Any:
        """Return a row to change: one that is stopped, or else any."""
        stopped = [row for row in rows if getattr(row, name) is not good]
        return self.rng.choice(stopped or rows)

    def heal(self) -> None:
        """Lift about half of what is stopped, so that the story can go on."""
        world, acts = self.world, self.acts
        stops: list[tuple[Callable[[Any], None], Sequence[Any], str, bool]] = [
            (acts.suspend_organization, world.organizations, "is_suspended", True),
            (acts.stop_organization, world.organizations, "is_stopped", True),
            (acts.stop, world.agents, "is_stopped", True),
            (acts.suspend, world.agents, "is_suspended", True),
            (acts.deactivate, world.people, "is_active", False),
            (acts.pause_all, world.people, "is_paused", True),
            (acts.pause, world.connections, "is_paused", True),
        ]
        for lift, rows, name, bad in stops:
            for row in rows:
                if getattr(row, name) is bad and self.chance(0.5):
                    lift(row)
        roots = [each.family for each in world.tokens if each.family.delegation is None]
        if all(each.is_revoked for each in roots[-2:]) and len(world.connections) < MOST_CONNECTIONS:
            self.connect()

    def change_scopes(self) -> None:
        agent = self.rng.choice(self.world.agents)
        self.acts.allow_scopes(agent, self.some(SCOPES, 0.8) if len(agent.scopes) == len(SCOPES) else SCOPES)

    def remove_scope(self) -> None:
        connection = self.rng.choice(self.world.connections)
        if len(connection.scopes) > 3:
            self.acts.remove_scope(connection, self.rng.choice(connection.scopes))

    def change_mode(self) -> None:
        connection, mode = self.rng.choice(self.world.connections), self.rng.choice(("none", "developer", "verified"))
        if self.chance(0.2):
            self.acts.narrow_mode(connection, mode)
        else:
            scopes = connection.scopes if self.chance(0.5) else self.some(connection.scopes, 0.9)
            self.acts.replace(connection, list(scopes), self.rng.choice((mode, "verified", "verified")))

    def note(self, text: str) -> None:
        self.told.append(text)

    def explain(self) -> str:
        return f"Story {self.number}:\n" + "\n".join(self.told[-12:])
