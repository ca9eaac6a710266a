"""Messages with values: in English for programs, and in the user's language on pages."""

import json

import pytest
from pydantic import BaseModel, ConfigDict, Field

from core.errors import Invalid, Throttled
from core.validation import parse
from core.wording import Filled, translated
from tests.web.browser import pseudo

FILLED = Filled("%(number)d at %(place)s", number=3, place=Filled("100%% of %(where)s", where="50% x"))


@pytest.fixture
def _other_language(monkeypatch: pytest.MonkeyPatch) -> None:
    pseudo.speak(monkeypatch)


def test_is_in_english() -> None:
    assert FILLED == "3 at 100% of 50% x"
    assert json.dumps(FILLED) == '"3 at 100% of 50% x"'


@pytest.mark.usefixtures("_other_language")
def test_the_template_and_its_messages_are_translated_but_not_the_values() -> None:
    assert FILLED == "3 at 100% of 50% x"
    assert translated(FILLED) == "⟦3 åţ ⟦100% öƒ 50% x~⟧~⟧"


@pytest.mark.usefixtures("_other_language")
@pytest.mark.parametrize(
    ("seconds", "english", "shown"),
    [
        (1, "1 second", "⟦1 šéçöñđ~~~⟧"),
        (49, "49 seconds", "⟦49 šéçöñđš~~~⟧"),
        (60, "about a minute", "⟦åƀöûţ å ɱîñûţé~~~~~⟧"),
        (600, "about 10 minutes", "⟦åƀöûţ 10 ɱîñûţéš~~~~~⟧"),
        (3600, "about an hour", "⟦åƀöûţ åñ ĥöûŕ~~~~~⟧"),
        (7300, "about 2 hours", "⟦åƀöûţ 2 ĥöûŕš~~~~⟧"),
    ],
)
def test_how_long_to_wait_is_translated(seconds: int, english: str, shown: str) -> None:
    error = Throttled(seconds)
    assert error.detail == f"Too many attempts. Try again in {english}."
    assert shown in error.translated
    assert "Try again" not in error.translated


class Model(BaseModel):
    model_config = ConfigDict(strict=True)

    number: int = Field(ge=3)
    name: str = Field(max_length=2)


@pytest.mark.usefixtures("_other_language")
def test_errors_of_fields_are_translated() -> None:
    with pytest.raises(Invalid) as caught:
        parse(Model, {"number": 1, "name": "abc"})
    assert [one.message for one in caught.value.errors] == ["Must be 3 or more.", "Must be at most 2 characters."]
    assert caught.value.errors[0].translated == "⟦Ɱûšţ ƀé 3 öŕ ɱöŕé.~~~~~⟧"
