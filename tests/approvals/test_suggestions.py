"""Properties of suggestions, for any answers: no refused question passes, and no rule is wider than its evidence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from approvals.suggestions import MIN_EVIDENCE, Answer, Question, SuggestedRule, most_per_day, suggest_rules
from core.money import Amount

START = datetime(2026, 1, 1, tzinfo=UTC)
HERE, EARLIER = "cns_here", "cns_earlier"
REASONS = [frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"})]
AMOUNTS = st.one_of(st.none(), st.integers(0, 6).map(lambda value: Amount(f"{value}.50", "EUR")))


def _number(questions: list[Question]) -> list[Question]:
    return [replace(each, id=str(n), at=START + timedelta(hours=n)) for n, each in enumerate(questions)]


ONE = st.builds(
    Question,
    id=st.just(""),
    consent_id=st.sampled_from([HERE, HERE, EARLIER]),
    target=st.sampled_from(["shop", "shop", "shop", "bank"]),
    answer=st.sampled_from([Answer.APPROVED] * 8 + [Answer.REFUSED, Answer.NONE]),
    amount=AMOUNTS,
    reasons=st.sampled_from([REASONS[0]] * 4 + REASONS),
    is_evidence=st.sampled_from([True] * 6 + [False]),
    at=st.just(START),
)
QUESTIONS = st.lists(ONE, max_size=40).map(_number)


def passing(suggestions: Sequence[SuggestedRule], questions: Sequence[Question]) -> set[str]:
    """Return the questions that a rule covers, however many were asked."""
    return {each.id for each in questions if any(suggestion.covers(each) for suggestion in suggestions)}


def is_within(narrow: SuggestedRule, wide: SuggestedRule) -> bool:
    examples = narrow.example, wide.example
    is_same = examples[0].target == examples[1].target and examples[0].reasons == examples[1].reasons
    return is_same and narrow.units <= wide.units and narrow.per_day <= wide.per_day


@given(QUESTIONS)
def test_no_refused_question_passes(questions: list[Question]) -> None:
    suggestions = suggest_rules(questions, HERE)
    refused = {each.id for each in questions if each.answer is Answer.REFUSED}
    assert not passing(suggestions, questions) & refused


@given(QUESTIONS)
def test_nothing_passes_that_must_not_be_learned(questions: list[Question]) -> None:
    suggestions = suggest_rules(questions, HERE)
    assert not passing(suggestions, questions) & {each.id for each in questions if not each.is_evidence}


@given(QUESTIONS, st.data())
def test_less_evidence_of_approval_never_gives_a_wider_rule(questions: list[Question], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(questions))) if questions else set()
    left = [each for each in questions if each not in gone or each.answer is Answer.REFUSED]
    probes = [*questions, *(replace(each, amount=Amount("99", "EUR")) for each in questions)]
    narrow, wide = suggest_rules(left, HERE), suggest_rules(questions, HERE)
    assert passing(narrow, probes) <= passing(wide, probes)
    assert all(any(is_within(each, other) for other in wide) for each in narrow)


@given(QUESTIONS, QUESTIONS)
def test_a_refusal_never_gives_a_wider_rule(questions: list[Question], more: list[Question]) -> None:
    refusals = [replace(each, id=f"more {each.id}", answer=Answer.REFUSED) for each in more]
    narrow, wide = suggest_rules([*questions, *refusals], HERE), suggest_rules(questions, HERE)
    assert passing(narrow, questions) <= passing(wide, questions)
    assert all(any(is_within(each, other) for other in wide) for each in narrow)


@given(QUESTIONS)
def test_it_is_the_smallest(questions: list[Question]) -> None:
    """With any lower ceiling or number per day, a question that the user approved would be asked again."""
    for suggestion in suggest_rules(questions, HERE):
        evidence = [each for each in questions if each.id in suggestion.evidence]
        assert len(evidence) >= MIN_EVIDENCE
        assert max(each.units for each in evidence) == suggestion.units
        alone = replace(suggestion, questions=evidence)
        fewer = replace(alone, per_day=suggestion.per_day - 1)
        assert suggestion.per_day >= 1
        assert fewer.passed < suggestion.evidence


@given(QUESTIONS)
def test_no_more_pass_than_its_number_per_day(questions: list[Question]) -> None:
    for suggestion in suggest_rules(questions, HERE):
        times = [each.at for each in questions if each.id in suggestion.passed]
        assert most_per_day(times) <= suggestion.per_day <= len(suggestion.evidence)
        assert suggestion.passed <= {each.id for each in questions if suggestion.covers(each)}


@given(QUESTIONS)
def test_its_example_is_of_this_connection(questions: list[Question]) -> None:
    for suggestion in suggest_rules(questions, HERE):
        assert suggestion.example.consent_id == HERE
        assert suggestion.example.id in suggestion.evidence


@given(QUESTIONS, st.randoms())
def test_the_order_does_not_matter(questions: list[Question], random: object) -> None:
    shuffled = sorted(questions, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert suggest_rules(shuffled, HERE) == suggest_rules(questions, HERE)


def asked(number: int, value: str, answer: Answer = Answer.APPROVED) -> Question:
    amount, reasons, at = Amount(value, "EUR"), REASONS[0], START + timedelta(hours=number)
    return Question(str(number), HERE, "shop", answer, amount, reasons, is_evidence=True, at=at)


def test_the_ceiling_is_the_highest_approved_below_the_lowest_refused() -> None:
    approved = [asked(number, value) for number, value in enumerate(["5", "12.50", "19.90", "8", "20", "40"])]
    (suggestion,) = suggest_rules([*approved, asked(9, "30", Answer.REFUSED), asked(10, "35", Answer.REFUSED)], HERE)
    assert suggestion.ceiling == Amount("20", "EUR")
    assert (suggestion.answered, suggestion.undecided, len(suggestion.questions)) == (5, 0, 8)


def test_a_refusal_of_the_same_amount_leaves_nothing_to_learn() -> None:
    approved = [asked(number, "20") for number in range(10)]
    assert suggest_rules([*approved, asked(10, "20", Answer.REFUSED)], HERE) == []
    assert len(suggest_rules(approved, HERE)) == 1


def test_four_approvals_are_not_enough() -> None:
    assert suggest_rules([asked(number, "20") for number in range(MIN_EVIDENCE - 1)], HERE) == []


def test_the_number_per_day_is_the_most_within_24_hours() -> None:
    times = [START + timedelta(hours=hours) for hours in (0, 10, 23, 24, 33.9, 34, 100)]
    assert most_per_day(reversed(times)) == 4
    assert most_per_day([START, START + timedelta(hours=24)]) == 1
    (suggestion,) = suggest_rules([asked(30 * number, "20") for number in range(6)], HERE)
    assert (suggestion.per_day, suggestion.answered) == (1, 6)


def test_a_question_beyond_the_number_per_day_would_still_ask() -> None:
    approved = [asked(number, "20") for number in (0, 1, 50, 51, 100, 101)]
    undecided = [asked(number, "20", Answer.NONE) for number in (2, 49, 60)]
    (suggestion,) = suggest_rules([*approved, *undecided], HERE)
    assert suggestion.per_day == 2
    assert {each.id for each in suggestion.questions} - suggestion.passed == {"2", "51", "60"}
    assert (suggestion.answered, suggestion.undecided) == (5, 1)
