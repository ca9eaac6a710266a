"""The three files of a gateway, which are beside each other: configuration, lock and credential."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .._json import read_json
from ..errors import StoreError
from ..stores._files import read_private, write_private
from .config import ConfigError

MAX_CREDENTIAL_BYTES = 10_000


@dataclass(frozen=True)
class Files:
    """The paths of the files. `config` is gateway.yaml, or another name that is given."""

    config: Path

    @property
    def lock(self) -> Path:
        return self.config.with_suffix(".lock")

    @property
    def credential(self) -> Path:
        return self.config.with_suffix(".credential")


@dataclass(frozen=True)
class Credential:
    """The credential of the gateway's resource server, `res_...` and `rs_...`."""

    id: str
    secret: str = field(repr=False)


def load_credential(path: Path) -> Credential:
    """Read the credential. Raises ConfigError if it is missing or damaged, or if others can read it."""
    try:
        text = read_private(path)
    except (StoreError, OSError) as error:
        raise ConfigError(f"The credential cannot be used: {error}") from None
    if text is None:
        raise ConfigError(f"{path} does not exist. Write it with: agentgate gateway init")
    return _parse(text.encode(), str(path))


def receive_credential(descriptor: int) -> Credential:
    """Read the credential from a descriptor and close it. Raises ConfigError."""
    try:
        with open(descriptor, "rb") as file:
            content = file.read(MAX_CREDENTIAL_BYTES)
            is_whole = not file.read(1)
    except OSError as error:
        raise ConfigError(f"--credential-fd {descriptor} cannot be read: {error.strerror}") from None
    return _parse(content if is_whole else b"", f"What --credential-fd {descriptor} has")


def _parse(content: bytes, source: str) -> Credential:
    try:
        document = read_json(content)
        return Credential(_text(document["id"]), _text(document["secret"]))
    except (ValueError, KeyError, TypeError):
        pass
    # Raised outside the handler, because the parser's exception contains the text.
    raise ConfigError(f'{source} is damaged. It must be {{"id": "res_...", "secret": "rs_..."}}.')


def save_credential(path: Path, credential: Credential) -> None:
    """Write the file with mode 600 from its first moment. Raises OSError or StoreError."""
    write_private(path, json.dumps(asdict(credential)) + "\n")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("must be text")
    return value
