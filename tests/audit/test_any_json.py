"""Whatever JSON the edge takes is carried to every end: the log, its proofs, counts, pages, downloads and verifiers."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.entries.drafts import SHORTENED, Draft
from audit.events import Event
from audit.models import Entry, Journal
from audit.proof import exports
from audit.proof.members import PERSON, Stream
from audit.proof.proofs import prove_entry
from audit.readers.disclosure import visible_to_user
from audit.selectors import entry_for_organization, entry_for_user
from audit.sequencing.sequencer import sequence
from audit.signing.log_keys import signer, stored_keys
from audit.verification.log import verify_log
from core import clock
from core.actor import Actor
from developers.models import Developer
from insights.selectors import decisions_by_outcome
from insights.services import count_log
from insights.windows import Window
from tests.verifier import ED25519, parse_key, verify_export, verify_proof
from tests.world import Grant, make_grant, sign_in_recently

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_sqlite]

VERIFY = "/api/v1/tokens/verify/batch"
EDGE = 2**53 - 1

# Spellings of numbers: most are taken, those beyond the edge are not.
WHOLE = st.integers(-EDGE - 3, EDGE + 3).map(str)
NUMBERS = st.one_of(
    WHOLE,
    WHOLE.map(lambda digits: f"{digits}.0"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["1", "-1", "0.5", "25.0"]),
        st.sampled_from("eE"),
        st.sampled_from(["", "+", "-"]),
        st.integers(0, 330),
    ),
    st.sampled_from(
        ["1e15", "1e16", "9007199254740991.0", "9007199254740992.0", "-0", "-0.0", "5e-324", "1E-7", "1e400"]
    ),
)
TEXTS = st.text(max_size=20).map(json.dumps) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda text: json.dumps(text, ensure_ascii=False)
)
SCALARS = NUMBERS | TEXTS | st.sampled_from(["null", "true", "false"])


def spell_object(members: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in members.items()) + "}"


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]")
    return lists | st.dictionaries(TEXTS, inner, max_size=4).map(spell_object)


VALUES = st.recursive(SCALARS, nested, max_leaves=8)
KNOWN = st.sampled_from(
    ['"text"', '"diff"', '"verb"', '"recipient"', '"target"', '"amount"', '"task"', '"note"', '"x"']
)
AMOUNTS = st.sampled_from(['{"value": "12.50", "currency": "EUR"}', '{"value": 3, "currency": "EUR"}', '"12 EUR"'])
CONTEXTS = st.dictionaries(KNOWN | TEXTS, VALUES | AMOUNTS, min_size=1, max_size=5).map(spell_object)
EXTREMES = [
    '{"x": 1e15}',
    '{"x": [[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]}',
    '{"\U00010000": 1, "\ue000": 0.1}',
    json.dumps({"text": "\u2028" * 3000, "x": 9007199254740991.0}),
    '{"truncated": true, "size": 1, "sha256": "a", "beginning": {}}',
    '{"amount": {"value": "1.00", "currency": "EUR"}, "text": "<b>&\u202e", "recipient": ["a@b", {"c": 1e-9}]}',
]


class Sender:
    """Sends contexts to verify, as they are spelled, and remembers what was taken, by the id of its entry."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._client = Client()
        self.taken: dict[str, Any] = {}
        self.refused = 0

    def send(self, context: str) -> None:
        question = f'{{"token": "{self._token}", "requiredScopes": ["email:read"], "context": {context}}}'
        body = f'{{"requests": [{question}]}}'
        answer = self._client.generic(
            "POST", VERIFY, body.encode(errors="surrogatepass"), content_type="application/json"
        )
        if answer.status_code == 400:
            assert "".join(one["field"] for one in answer.json().get("errors", [])) or answer.json()["detail"]
            self.refused += 1
            return
        (decision,) = answer.json()["decisions"]
        assert decision["allowed"]
        self.taken[decision["auditId"]] = json.loads(context)


@pytest.fixture(autouse=True)
def _sequenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())


@pytest.fixture
def grant(db: None) -> Grant:
    return make_grant()


@pytest.fixture
def sender(grant: Grant) -> Sender:
    """Return what has sent many contexts. Everything that was taken is in the log."""
    sender = Sender(grant.access_token)

    @settings(max_examples=20)
    @given(CONTEXTS)
    def send(context: str) -> None:
        sender.send(context)

    for context in EXTREMES:
        sender.send(context)
    assert len(sender.taken) == len(EXTREMES), "the edge takes all of these"
    send()
    assert sender.refused
    sequence()
    return sender


def test_whatever_the_edge_takes(sender: Sender, grant: Grant, tmp_path: Path) -> None:
    check_the_log_and_its_proofs(sender, grant)
    check_every_reader(sender, grant, tmp_path)


def check_the_log_and_its_proofs(sender: Sender, grant: Grant) -> None:
    user, organization = grant.user.id, grant.agent.organization_id
    key = parse_key(signer().verifier_key, ED25519)
    logged = Entry.objects.filter(pk__in=sender.taken)
    assert set(logged.values_list("event", flat=True)) == {"token.verify"}
    assert logged.count() == len(sender.taken)
    assert not Journal.objects.exists()
    for entry_id, context in sender.taken.items():
        proof = json.loads(json.dumps(prove_entry(entry_id, user_id=user, organization_id=None)))
        entry, _ = verify_proof(proof, key)
        assert entry.record["id"] == entry_id
        shown = entry_for_user(user, entry_id).personal
        assert shown.get("context") == context or SHORTENED in shown
        assert entry_for_organization(organization, entry_id).id == entry_id
    assert verify_log(stored_keys()).damaged == 0


def check_every_reader(sender: Sender, grant: Grant, tmp_path: Path) -> None:
    while count_log():
        pass
    this_hour = clock.now().replace(minute=0, second=0, microsecond=0)
    window = Window(this_hour - timedelta(hours=1), this_hour + timedelta(hours=1))
    assert decisions_by_outcome(grant.agent.organization_id, window)["allowed"] == len(sender.taken)

    as_user, as_developer = (
        sign_in_recently(grant.user),
        sign_in_recently(Developer.objects.get(organization_id=grant.agent.organization_id).user),
    )
    for path in ("/activity", "/developer/logs"):
        assert (
            as_user.get(path).status_code == 200 if path == "/activity" else as_developer.get(path).status_code == 200
        )
    for entry_id in sender.taken:
        assert as_user.get(f"/activity/{entry_id}").status_code == 200
        assert as_developer.get(f"/developer/logs/{entry_id}").status_code == 200
    assert sender.taken.keys() <= ids_in(as_user.post("/activity.csv"))
    assert sender.taken.keys() <= ids_in(as_developer.post("/developer/logs.csv"))

    download = tmp_path / "export.jsonl"
    download.write_bytes(b"".join(export_of(grant).pieces()))
    key = parse_key(signer().verifier_key, ED25519)
    found: list[str] = []
    verify_export(download, key, visit=lambda entry: found.append(entry.record["id"]))
    assert sender.taken.keys() <= set(found)


def ids_in(answer: Any) -> set[str]:
    assert answer.status_code == 200
    return {row["id"] for row in csv.DictReader(io.StringIO(answer.getvalue().decode()))}


def export_of(grant: Grant) -> exports.Export:
    user = grant.user.id
    return exports.begin_export(
        stream=Stream(PERSON, user),
        period=exports.Period(),
        draft=Draft(Event.AUDIT_EXPORTED, Actor("user", user), user_id=user),
        find_visible=lambda content: visible_to_user(content, user),
    )
