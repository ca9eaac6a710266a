"""The statements of a decision: what each takes and gives. The SQL is in `postgresql_sql.py` and `sqlite_sql.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_type_hints

from decisions.facts import (
    AgentFacts,
    ApprovalFacts,
    CallerFacts,
    CounterFacts,
    PolicyFacts,
    ReservedFacts,
    ScopeFacts,
    ServiceFacts,
    TokenFacts,
    Versions,
)
from tokens.chains import Handover


class Kind(Enum):
    """The types of columns and of parameters. A parameter of a kind that ends in S is a list."""

    TEXT = str
    BOOL = bool
    INT = int
    TIME = datetime
    BYTES = bytes
    TEXTS = "texts"
    INTS = "ints"
    TIMES = "times"
    BYTESS = "bytess"


def kinds_of(row: type[Any]) -> tuple[Kind, ...]:
    """Return the kinds of the columns that make up a row."""
    return tuple(Kind(_without_none(hint)) for hint in get_type_hints(row).values())


def _without_none(hint: Any) -> Any:
    if isinstance(hint, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    return hint


class Statement(Enum):
    """A statement with the kinds of its parameters and the class of its rows. Statements with `None` return no rows."""

    HOLD = "hold", (), None
    """Wait for revocations that are being committed, and keep new ones waiting. First in each transaction."""
    TOKENS = "tokens", (Kind.TEXTS,), TokenFacts
    CALLERS = "callers", (Kind.TEXTS,), CallerFacts
    DELEGATIONS = "delegations", (Kind.TEXTS,), Handover
    VERSIONS = "versions", (Kind.TEXTS, Kind.TEXTS), Versions
    """Read the versions of the same rows of tokens and callers. Only on PostgreSQL."""
    SERVICES = "services", (Kind.TEXTS,), ServiceFacts
    AGENTS = "agents", (Kind.TEXTS,), AgentFacts
    POLICIES = "policies", (Kind.TEXTS,), PolicyFacts
    SCOPES = "scopes", (Kind.TEXTS,), ScopeFacts
    """Read scopes that organizations define."""
    APPROVALS = "approvals", (Kind.TEXTS, Kind.TEXTS), ApprovalFacts
    """Read approvals by digest, and standing ones by the digest of their target."""
    LOCK_REPEATS = "lock_repeats", (Kind.INTS,), None
    """Wait for other batches that hold one of these numbers. They are locked in their order, before any counter."""
    RESERVED = "reserved", (Kind.TEXTS,), ReservedFacts
    """Read reservations by the digests of their keys. Only once these are locked."""
    COUNTERS = "counters", (Kind.TEXTS,), CounterFacts
    """Read counters by key and lock them, in the order of their keys."""
    CREATE_COUNTERS = "create_counters", (Kind.TIME, Kind.TEXTS), None
    """Create empty counters that expire at this time, unless they exist."""
    SAVE_COUNTERS = "save_counters", (Kind.TEXTS, Kind.INTS, Kind.BYTESS, Kind.TIMES), None
    USE_APPROVALS = "use_approvals", (Kind.TIME, Kind.TEXTS), None
    CREATE_APPROVALS = "create_approvals", (Kind.TEXT,), None
    """Create approvals from a JSON list of objects with the names of the columns. `spell_time` spells their times."""
    WRITE_RESERVATIONS = "write_reservations", (Kind.TEXT,), None
    """Create reservations from such a list."""
    WRITE_JOURNAL = "write_journal", (Kind.BYTES,), None
    PING = "ping", (), None

    def __init__(self, label: str, takes: Sequence[Kind], gives: type[Any] | None) -> None:
        self.prepared_as = label.encode()
        self.takes = takes
        self.gives = gives
        self.columns = kinds_of(gives) if gives else ()


def spell_time(moment: datetime) -> str:
    """Return a time in UTC as both databases read it in JSON."""
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


class Step(NamedTuple):
    """A statement with its parameters."""

    statement: Statement
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Trip:
    """Steps that are sent to the database together. `before` is committed first, in a transaction of its own.

    One that commits says how many questions are `decided` then.
    """

    steps: Sequence[Step]
    before: Sequence[Step] = ()
    begins: bool = False
    commits: bool = False
    rolls_back: bool = False
    decided: int = 0
