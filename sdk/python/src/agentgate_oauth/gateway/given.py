"""What the operator gives about an upstream: a command or URL, names of variables, and headers. No secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlsplit

from .config import ConfigError, Secret, Upstream
from .effects import word_set

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
# Beginnings of the tokens of well-known services.
_TOKEN = re.compile(
    r"(gh[pousr]_|github_pat_|glpat-|sk-|sk_|rk_|xox[abeprs]-|xapp-|AKIA|ASIA|AIza|ya29\.|eyJ|npm_|pypi-|hf_|shp|"
    r"agc?s?_|rs_|st_|lin_api_|secret_|ntn_|SG\.|key-|Bearer\s)[\w./+=-]{8,}"
)
_SECRET_NAME = re.compile(
    r"(token|secret|passw(or)?d|pwd|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|bearer|authorization)$",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"[A-Za-z0-9_+=-]{24,}")
_LAUNCHERS = word_set(
    "npx npm pnpm yarn bunx bun uvx uv pipx node deno python python3 docker podman sh bash env run exec dlx "
    "tool x compose"
)
_FRAME = word_set("mcp server servers modelcontextprotocol index main dist build src bin node modules") | {""}
_FLAGS = word_set("-y --yes --rm --interactive --init --")
_HOST_PARTS = word_set("www api mcp com org net io dev app ai co")


def upstream_of(words: Sequence[str], variables: Sequence[str], headers: Sequence[str]) -> Upstream:
    """Return the upstream of a URL or a command. Raises ConfigError, which repeats no secret."""
    if not words:
        raise ConfigError(
            "Give the upstream: a URL, or -- and a command. For example: "
            "agentgate gateway init -- npx -y @modelcontextprotocol/server-filesystem ~/notes"
        )
    if re.match(r"https?://", words[0]):
        if len(words) > 1 or variables:
            raise ConfigError("A URL stands alone. --env is for a command; a URL takes --header.")
        _require_no_secret_in_url(words[0])
        return Upstream(url=words[0], headers=dict(_header(one) for one in headers))
    if headers:
        raise ConfigError("--header is for a URL. A command takes --env.")
    _require_no_secret(words)
    return Upstream(command=_absolute(words), environment=[_variable(one) for one in variables])


def prefix_of(words: Sequence[str], reserved: Iterable[str]) -> str:
    """Return the name of an upstream by its command or URL, with -mcp if the catalogue has this prefix."""
    if re.match(r"https?://", words[0]):
        labels = (urlsplit(words[0]).hostname or "").split(".")
        base = next((one for one in labels if one not in _HOST_PARTS and not one.isdigit()), "")
    else:
        base = _program(" ".join(words).split())
    parts = [one for one in re.split(r"[^a-z0-9]+", base.lower()) if one and one not in _FRAME]
    name = "-".join(parts)[:36].strip("-")
    if not name or not name[0].isalpha():
        name = f"mcp-{name}".strip("-")
    return f"{name}-mcp" if name in reserved or len(name) < 2 else name


def folders_of(upstream: Upstream) -> list[str]:
    """Return the folders among the arguments of the command, which are what the server serves.

    The value of an option counts only after the program: before it, as in `uv --directory`, it says where the
    program is.
    """
    words = upstream.command or []
    program = _program_at(words)
    found = []
    for index, (before, word) in enumerate(zip(words, words[1:], strict=False), start=1):
        is_option = word.startswith("-") or (before.startswith("-") and before not in _FLAGS)
        path = word.partition("=")[2] if word.startswith("-") else word
        if (index > program or not is_option) and path.startswith("/") and os.path.isdir(path):
            found.append(path)
    return found


def root_of(folders: Sequence[str]) -> str | None:
    """Return the folder that contains all of these, None if that is everything, or there are none."""
    root = os.path.commonpath(folders) if folders else "/"
    return None if root == "/" else root


def _absolute(words: Sequence[str]) -> list[str]:
    """Return the command with absolute paths, because the program starts in a folder of its own."""
    program, *rest = words
    return [program if "/" not in program else _path(program), *map(_path, rest)]


def _path(word: str) -> str:
    option, is_set, value = word.partition("=")
    if is_set and option.startswith("-"):
        return f"{option}={_path(value)}"
    if word in (".", "..") or word.startswith(("./", "../")):
        return os.path.abspath(word)
    is_folder = os.path.isdir(word) and "/" in word
    is_file = os.path.isfile(word) and ("/" in word or "." in word)
    return os.path.abspath(word) if is_folder or is_file else word


def _program(words: Sequence[str]) -> str:
    """Return the package or script of a command, without what all servers are called."""
    at = _program_at(words)
    return _names_of(words[at])[0] if at < len(words) else ""


def _program_at(words: Sequence[str]) -> int:
    """Return the position of the package or script: behind launchers, and their options with values."""
    for at, (before, word) in enumerate(zip(["", *words], words, strict=False)):
        if word.startswith("-") or (before.startswith("--") and before not in _FLAGS):
            continue
        if _names_of(word):
            return at
    return len(words)


def _names_of(word: str) -> list[str]:
    """Return the parts of a package or path that name a program, the last one first."""
    path = re.sub(r"(?<=[^/])@.*|\.(js|mjs|cjs|ts|py|sh)$|:[\w.-]+$", "", word).split("/")
    if path[-1] in _LAUNCHERS:
        return []
    return [one for one in reversed(path) if not {*re.split(r"[^a-z0-9]+", one.lower())} <= _FRAME]


def _variable(given: str) -> str:
    if not _VARIABLE.fullmatch(given):
        raise ConfigError(
            "--env takes the name of a variable, such as GITHUB_TOKEN, and not its value. Export it first."
        )
    return given


def _header(given: str) -> tuple[str, Secret]:
    name, _, value = given.partition(":")
    reference = _REFERENCE.fullmatch(value.strip())
    if reference is None or not re.fullmatch(r"[A-Za-z0-9-]+", name.strip()):
        raise ConfigError(
            "--header takes a name and a variable with the whole value, in single quotes: "
            "--header 'Authorization: $UPSTREAM_AUTHORIZATION'. Export it first, with Bearer if needed."
        )
    return name.strip(), Secret(variable=reference[1] or reference[2])


def _require_no_secret_in_url(url: str) -> None:
    parts = urlsplit(url)
    query = any(_is_secret(key, value) for key, value in parse_qsl(parts.query))
    if parts.password or parts.username or query or any(_looks_random(one) for one in parts.path.split("/")):
        raise ConfigError(
            "The URL seems to contain a secret. gateway.yaml must have none: pass it in a header, "
            "with --header 'Authorization: $UPSTREAM_AUTHORIZATION'."
        )


def _require_no_secret(words: Sequence[str]) -> None:
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        option = before if before.startswith("-") else ""
        name, _, value = word.partition("=") if "=" in word else (option, "", word)
        if _is_secret(name, value) or _has_password(word) or _TOKEN.match(word):
            where = f"after {before}" if before.startswith("-") else f"number {index}"
            raise ConfigError(
                f"The argument {where} seems to contain a secret. gateway.yaml must have none: export it, "
                "name the variable with --env, and if the program does not read it, start it in a shell: "
                "--env API_TOKEN -- sh -c 'exec some-server --token \"$API_TOKEN\"'"
            )


def _is_secret(name: str, value: str) -> bool:
    if not value or value.startswith(("-", "$")) or os.path.exists(value):
        return False
    return bool(_TOKEN.match(value) or _SECRET_NAME.search(name)) or _looks_random(value)


def _looks_random(value: str) -> bool:
    """Return whether a word is long and mixed, as keys are, and names of packages and paths are not."""
    if not _RANDOM.fullmatch(value):
        return False
    digits = sum(one.isdigit() for one in value)
    return digits >= 4 and (value.lower() != value or digits * 4 >= len(value))


def _has_password(word: str) -> bool:
    try:
        return "://" in word and urlsplit(word).password is not None
    except ValueError:
        return False
