"""`help()` and `inspect.signature` show parameters and results of every class and its async version."""

from __future__ import annotations

import inspect
import pydoc

import pytest

from agentgate_oauth import (
    AgentGateAdmin,
    AgentGateClient,
    AgentGateVerifier,
    AsyncAgentGateAdmin,
    AsyncAgentGateClient,
    AsyncAgentGateVerifier,
    AsyncReservation,
    AsyncSession,
    Reservation,
    Session,
)

PAIRS = [
    (AgentGateClient, AsyncAgentGateClient),
    (AgentGateAdmin, AsyncAgentGateAdmin),
    (AgentGateVerifier, AsyncAgentGateVerifier),
    (Session, AsyncSession),
    (Reservation, AsyncReservation),
]
PARAMETERS = ["self", "scopes", "action", "resource", "context", "wait_for_approval"]
ITERATORS = ("iter_", "follow_")
# They only open a block, `with` or `async with`.
OPENERS = {"reserve"}
CLASSES = [cls for pair in PAIRS for cls in pair]


def public(cls: type) -> dict[str, object]:
    return {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}


@pytest.mark.parametrize("cls", CLASSES)
def test_every_public_name_has_a_docstring(cls):
    for name, value in public(cls).items():
        assert inspect.getdoc(value), f"{cls.__name__}.{name}"


def test_a_method_shows_its_parameters_defaults_and_result():
    signature = inspect.signature(Session.verify)
    assert list(signature.parameters) == PARAMETERS
    assert signature.parameters["scopes"].annotation == "Sequence[str]"
    assert signature.parameters["action"].default is None
    assert signature.return_annotation == "Decision"


def test_a_bound_method_shows_no_self(client):
    assert list(inspect.signature(client.exchange).parameters) == ["code", "code_verifier", "redirect_uri"]
    assert client.exchange.__name__ == "exchange"


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_the_versions_differ_only_in_being_awaited(blocking, awaited):
    ours, theirs = public(blocking), public(awaited)
    assert ours.keys() - {"close"} == theirs.keys() - {"aclose"}
    for name in ours.keys() & theirs.keys():
        if not inspect.isfunction(ours[name]):
            continue
        assert inspect.signature(ours[name]).parameters == inspect.signature(theirs[name]).parameters, name
        assert not inspect.iscoroutinefunction(ours[name])
        is_function = name.startswith(ITERATORS) or name in OPENERS
        assert inspect.iscoroutinefunction(theirs[name]) or is_function, name


def test_help_shows_the_matching_session_class():
    assert "-> 'Session'" in pydoc.render_doc(AgentGateClient.create_session)
    assert "-> 'AsyncSession'" in pydoc.render_doc(AsyncAgentGateClient.create_session)
    assert "-> 'Iterator[Agent]'" in pydoc.render_doc(AgentGateAdmin.iter_agents)
    assert "-> 'AsyncIterator[Agent]'" in pydoc.render_doc(AsyncAgentGateAdmin.iter_agents)


def test_help_on_a_class_lists_its_methods():
    shown = pydoc.render_doc(AsyncAgentGateClient, renderer=pydoc.plaintext)
    assert "async request_consent(" in shown
    assert "Ask for consent." in shown
