"""`gateway.yaml`: the servers behind the gateway, and what each tool, resource and prompt of them needs."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent

from .uris import problem_of

MAX_BYTES = 4_000_000
# An argument, or the value of an option, that depends on the folder in which a program starts.
_RELATIVE = re.compile(r"(-[^=]*=)?\.\.?(/|\Z)")
Label = Literal["private", "untrusted", "outbound"]
Risk = Literal["low", "standard", "high", "critical"]


def _require_matched(pattern: str) -> str:
    if problem := problem_of(pattern):
        raise ValueError(f"it {problem}")
    return pattern


Name = Annotated[str, Field(min_length=1, max_length=200)]
# A URI, a glob or a URI template.
Pattern = Annotated[Name, AfterValidator(_require_matched)]
Scope = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*(:[a-z0-9_-]+)+$", max_length=100)]
Prefix = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class ConfigError(ValueError):
    """A file of the gateway cannot be used. The text names the file, the field, and what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Mapped(_Strict):
    """The arguments of a tool that are one field of verify's `context`: a value, or the list of several.

    A name with dots is a path into nested objects. With `as: path`, each is a path of a file, which is
    normalized and bounded by the upstream's `root`.
    """

    arguments: list[Name] = Field(min_length=1, max_length=10)
    kind: Literal["text", "path"] = Field(default="text", alias="as")


class ArgumentName(_Strict):
    argument: Name


class Amount(_Strict):
    """The argument that is an amount of money. It is reserved before the call.

    With `minor_units`, the argument counts units of this many decimal places, such as cents with 2.
    """

    argument: Name
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | ArgumentName
    minor_units: int | None = Field(default=None, ge=0, le=4)


class Context(_Strict):
    """What verify is told of a tool's arguments. All others are covered by the digest of all arguments."""

    recipient: Mapped | None = None
    target: Mapped | None = None
    text: Mapped | None = None
    amount: Amount | None = None


class Line(_Strict):
    """What one resource or prompt needs. `labels` say what its result brings in, for data-flow guards.

    `risk` and `asks` repeat what the scope says: how grave it is, and whether the consent screen preselects
    "Ask me every time". For own scopes they are registered so; `agentgate gateway check` compares them.
    """

    scope: Scope
    risk: Risk
    asks: bool = False
    labels: list[Label] = Field(default_factory=list, max_length=3)


class ToolLine(Line):
    """What one tool needs. `final_amount` is where its result says what was spent.

    It is a path with dots into the structured content, or else into the text of the result if that is JSON.
    `guessed`: risk and labels follow from the tool's name, and the operator has not confirmed them.
    """

    guessed: bool = False
    context: Context = Context()
    final_amount: Name | None = None

    @model_validator(mode="after")
    def _has_amount(self) -> ToolLine:
        if self.final_amount and self.context.amount is None:
            raise ValueError("final_amount needs context.amount, which is reserved before the call")
        return self


class Secret(_Strict):
    """Where a secret is: the name of a variable of the environment, or a file."""

    variable: Name | None = None
    file: Name | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Secret:
        if (self.variable is None) == (self.file is None):
            raise ValueError("give either variable or file")
        return self

    def read(self) -> str:
        """Return the secret. Raises ConfigError."""
        if self.file is not None:
            return _read_secret_file(self.file)
        found = os.environ.get(str(self.variable))
        if not found:
            raise ConfigError(f"The variable {self.variable} is not set. The upstream needs it: export it.")
        return found


class Upstream(_Strict):
    """One MCP server: a program that is started (`command`), or a streamable HTTP endpoint (`url`)."""

    command: list[str] | None = Field(default=None, min_length=1, max_length=100)
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    environment: list[Name] = Field(default_factory=list, max_length=100)
    environment_files: dict[Name, Name] = Field(default_factory=dict, max_length=100)
    headers: dict[Name, Secret] = Field(default_factory=dict, max_length=20)
    root: str | None = None
    prefixed: bool = False
    tools: dict[Name, ToolLine] = Field(default_factory=dict, max_length=1000)
    resources: dict[Pattern, Line] = Field(default_factory=dict, max_length=1000)
    prompts: dict[Name, Line] = Field(default_factory=dict, max_length=1000)

    @model_validator(mode="after")
    def _is_reachable(self) -> Upstream:
        if (self.command is None) == (self.url is None):
            raise ValueError("give either command or url")
        if self.command is None and (self.environment or self.environment_files):
            raise ValueError("environment is for a command. A url has headers")
        if self.url is None and self.headers:
            raise ValueError("headers are for a url. A command has environment and environment_files")
        if self.root is not None and not self.root.startswith("/"):
            raise ValueError("root must be an absolute path")
        for word in self.command or ():
            if _RELATIVE.match(word):
                raise ValueError(
                    f"command: {word} is relative, and the program starts in an empty folder of its own. "
                    "Write an absolute path"
                )
        return self


class OwnScope(_Strict):
    """The texts of a scope that is not in the catalogue, as users see them, and its labels."""

    title: Name
    description: Name
    cannot: Name
    labels: list[Label] = Field(default_factory=list, max_length=3)


class Limits(_Strict):
    """Bounds. Each session is one upstream's process or HTTP session, for one user and agent."""

    message_bytes: int = Field(default=10_000_000, ge=10_000, le=1_000_000_000)
    call_seconds: float = Field(default=120.0, gt=0, le=3600)
    start_seconds: float = Field(default=60.0, gt=0, le=600)
    idle_seconds: float = Field(default=600.0, gt=0, le=86400)
    approval_seconds: float = Field(default=30.0, ge=0, le=30)
    sessions: int = Field(default=32, ge=1, le=1000)
    calls: int = Field(default=64, ge=1, le=1000)


class Gateway(_Strict):
    """The whole file. `identifier` is the audience of tokens, and where clients reach the gateway."""

    version: Literal[1]
    gate: Annotated[str, Field(pattern=r"^https?://")]
    name: Name
    identifier: Annotated[str, Field(pattern=r"^https?://")]
    upstreams: dict[Prefix, Upstream] = Field(min_length=1, max_length=20)
    scopes: dict[Scope, OwnScope] = Field(default_factory=dict, max_length=500)
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _has_one_of_each_name(self) -> Gateway:
        seen: dict[str, str] = {}
        for prefix, upstream in self.upstreams.items():
            for tool in upstream.tools:
                name = exposed_name(prefix, upstream, tool)
                if name in seen:
                    raise ValueError(
                        f"two tools are exposed as {name}, of {seen[name]} and {prefix}: "
                        "write prefixed: true in one of these upstreams"
                    )
                seen[name] = prefix
        return self

    @property
    def path(self) -> str:
        """Return the path of the MCP endpoint."""
        return urlsplit(self.identifier).path or "/"


def exposed_name(prefix: str, upstream: Upstream, name: str) -> str:
    """Return the name by which clients call a tool or prompt of this upstream."""
    return f"{prefix}_{name}" if upstream.prefixed else name


def load(path: Path) -> Gateway:
    """Read the file. Raises ConfigError."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist. Write it with: agentgate gateway init") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES:,} characters")
    return parse(text, str(path))


def parse(text: str, name: str) -> Gateway:
    """Return what the text of a file says. Raises ConfigError that names the file and the field."""
    try:
        document = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError) as error:
        # PyYAML lets errors of its parsers of dates and numbers pass.
        raise ConfigError(f"{name} is not YAML: {error}") from None
    try:
        return Gateway.model_validate(document)
    except ValidationError as error:
        problems = "\n".join(f"  {_where(one['loc'])}: {one['msg']}" for one in error.errors()[:20])
        raise ConfigError(f"{name} is not valid:\n{problems}") from None


def dump(gateway: Gateway) -> str:
    """Return the text of the file, with every line of a tool, without what is the default."""
    return to_yaml(gateway.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def to_yaml(document: Any) -> str:
    """Return YAML with one line for each short list, and for the arguments of a field.

    If it would contain hidden characters, which a server can have in its names, all but ASCII is escaped.
    """
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    if text.replace("\n", "").isprintable():
        return text
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes lists of words in one line, and the mappings of `context`."""

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        is_short = all(isinstance(one, (str, int)) for one in sequence) and len(str(sequence)) < 100
        return super().represent_sequence(tag, sequence, flow_style=is_short or flow_style)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        is_field = not {"arguments", "argument", "variable", "file"}.isdisjoint(mapping)
        return super().represent_mapping(tag, mapping, flow_style=is_field or flow_style)


class _Loader(yaml.SafeLoader):
    """Refuses keys that are given twice, as YAML does, and aliases, which can explode."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                raise ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise ComposerError(None, None, "aliases are not supported", mark)
        return super().compose_node(parent, index)


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _read_secret_file(path: str) -> str:
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file {path} cannot be read: {error}") from None
    if not found:
        raise ConfigError(f"The file {path} is empty. The upstream needs the secret in it.")
    return found
