"""What a tool probably does, by the words of its name. What is not known counts as dangerous."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .config import Label, Risk

RISKS: tuple[Risk, ...] = ("low", "standard", "high", "critical")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")


@dataclass(frozen=True)
class Effect:
    """A kind of act, with the risk and the labels of tools that do it. `says` is what they do, in words."""

    id: str
    says: str
    risk: Risk
    labels: frozenset[Label]
    verbs: frozenset[str] = frozenset()


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _effect(effect_id: str, says: str, risk: Risk, labels: str, verbs: str) -> Effect:
    known: tuple[Label, ...] = ("private", "untrusted", "outbound")
    carried: list[Label] = [one for one in known if one in labels.split()]
    return Effect(effect_id, says, risk, frozenset(carried), word_set(verbs))


READ = _effect(
    "read",
    "read",
    "standard",
    "private untrusted",
    "analyze blame browse calculate compare convert count describe diff echo explain fetch find get grep "
    "help info inspect list logs lookup ping preview query read retrieve search show stat stats status "
    "summarize tree validate view whoami history",
)
WRITE = _effect(
    "write",
    "write",
    "high",
    "outbound",
    "add append apply archive assign change close commit configure copy create disable download edit enable "
    "import insert label lock mark modify move patch pause put register rename reopen replace restart "
    "restore resume save schedule set start stop store sync tag toggle unarchive unlock update write "
    "make",
)
SEND = _effect(
    "send",
    "send",
    "high",
    "outbound",
    "broadcast comment dm email forward invite mail message notify post publish push reply send share "
    "submit tweet upload",
)
DELETE = _effect(
    "delete",
    "delete",
    "critical",
    "",
    "cancel clear delete deprovision destroy discard drop erase flush kill overwrite prune purge "
    "remove reset revoke rm terminate trash truncate uninstall unlink wipe",
)
PAY = _effect(
    "pay",
    "spend money",
    "critical",
    "outbound",
    "bid book buy charge checkout donate order pay payout purchase refund reserve sell subscribe tip "
    "trade transfer withdraw",
)
RUN = _effect(
    "run",
    "run programs",
    "critical",
    "private untrusted outbound",
    "bash call cmd command deploy eval evaluate exec execute install invoke launch merge powershell "
    "run script sh shell spawn sudo terminal",
)
ACCESS = _effect(
    "access",
    "concern secrets or access",
    "critical",
    "private outbound",
    "authenticate authorize chmod chown credential credentials env environment grant impersonate "
    "login password passwords secret secrets signin token tokens",
)
UNKNOWN = _effect("other", "do something unknown", "high", "private untrusted outbound", "")

# In the order of their danger: the later one counts.
_EFFECTS = (READ, WRITE, SEND, DELETE, PAY, RUN, ACCESS)
# Verbs that are rarely nouns, so that they count anywhere in a name: get_and_delete, but not get_order.
_ANYWHERE = word_set(
    "append charge create delete destroy edit erase eval exec execute forward insert kill modify "
    "overwrite pay payout publish purchase purge refund remove replace run save send submit terminate "
    "truncate uninstall unlink update wipe withdraw write"
)
_READ_ENDINGS = word_set("history info list log logs search stats status tree")
# At the beginning, these may be what is acted on: logs_clear, status_set.
READ_NOUNS = word_set("history info list log logs query stat stats status tree view")
_JOINTS = word_set("and or then")
# In the name of a tool that changes something, these are about money.
_MONEY = word_set("charge invoice order payment payments payout purchase refund subscription trade transfer")


@dataclass(frozen=True)
class Named:
    """The effect that a name says. `verb` is the word for it, None if there is none; `others` the rest."""

    effect: Effect
    verb: str | None
    others: tuple[str, ...]


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of `read_text_file`, `readTextFile` and `read-text-file`, in lower case."""
    return tuple(word.lower() for word in _WORD.findall(unicodedata.normalize("NFKC", name)))


def effect_of(name: str, ignored: Collection[str] = ()) -> Named:
    """Return what a tool with this name does. `ignored` words may be at its beginning: the server's name.

    A verb of reading counts only where it cannot be a noun: at the beginning, or some at the end of a name
    that has no other verb, so that `set_status` and `clear_history` do not read.
    """
    words = words_of(name)
    while len(words) > 1 and words[0] in ignored:
        words = words[1:]
    said = [(effect, word) for word in words if (effect := _of_verb(word)) and effect is not READ]
    first, last = (words[0], words[-1]) if words else ("", "")
    if first in READ.verbs or (last in _READ_ENDINGS and not said):
        found, verb = READ, first if first in READ.verbs else last
    elif said:
        found, verb = said[0]
    else:
        return _concealed(words)
    for before, word in zip(("", *words), words, strict=False):
        counts = before in _JOINTS or (first in READ_NOUNS and _of_verb(word) in (WRITE, DELETE, RUN))
        effect = _of_verb(word) if counts else _raised_by(word, found)
        if effect is None:
            continue
        if _EFFECTS.index(effect) > _EFFECTS.index(found):
            found, verb = effect, word
    position = words.index(verb)
    return Named(found, verb, words[:position] + words[position + 1 :])


def common_beginning(names: Iterable[str]) -> set[str]:
    """Return the word that all names begin with, such as `browser`, if it is not about their effect."""
    first = {words[0] for name in names if (words := words_of(name))}
    return {word for word in first if len(first) == 1 and _of_verb(word) is None}


def higher(*risks: Risk) -> Risk:
    return max(risks, key=RISKS.index)


def _of_verb(word: str) -> Effect | None:
    return next((effect for effect in reversed(_EFFECTS) if word in effect.verbs), None)


def _raised_by(word: str, found: Effect) -> Effect:
    """Return what another word of the name adds."""
    if word in ACCESS.verbs:
        return ACCESS
    if word in _MONEY and found is not READ:
        return PAY
    return (_of_verb(word) or found) if word in _ANYWHERE else found


def _concealed(words: Iterable[str]) -> Named:
    """Return what a name without a known verb does. `deletefile` deletes."""
    words = tuple(words)
    for effect in (RUN, PAY, DELETE):
        for word in words:
            if any(len(verb) > 3 and word.startswith(verb) for verb in effect.verbs):
                return Named(effect, None, words)
    return Named(UNKNOWN, None, words)
