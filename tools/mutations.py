"""Break the product in 31 places, one at a time, and run the tests that must notice.

`python -m tools.mutations [WORD]` works in a copy of the last commit, whose tests must pass, and prints which test
caught each mutation. With a word, only mutations whose path contains it are tried. It is not part of CI: run it after
tests were moved, merged or removed.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TESTS_FAILED = 1
SECONDS = 900


class Mutation(NamedTuple):
    """A line of a file, what replaces it, and the file of tests that must notice. `words` choose among these (`-k`)."""

    path: str
    old: str
    new: str
    tests: str
    words: str = ""

    @property
    def name(self) -> str:
        return f"{self.path}: {self.old.strip()}"


MUTATIONS = (
    Mutation(
        "decisions/checks.py",
        "    if token.is_family_revoked:",
        "    if False:",
        "tests/api/test_tokens.py",
        "revoked",
    ),
    Mutation(
        "decisions/checks.py",
        "        return settings.API_URL in token.audience",
        "        return True",
        "tests/api/test_verify.py",
        "audience",
    ),
    Mutation(
        "decisions/checks.py",
        "    return Reason.CONSENT_PAUSED if token.is_paused else None",
        "    return None",
        "tests/api/test_pauses.py",
        "stop",
    ),
    Mutation(
        "decisions/basis.py",
        "        return self.since <= now < self.until and self.found == found",
        "        return self.since <= now < self.until",
        "tests/decisions/test_basis.py",
    ),
    Mutation(
        "decisions/judgement.py",
        "    return caller is not None and caller.server_id == credential.server_id and caller.is_live_at(now)",
        "    return caller is not None and caller.server_id == credential.server_id",
        "tests/api/test_resource_servers.py",
        "secret",
    ),
    Mutation(
        "decisions/covering.py",
        "    return token.consent_id is None or cover.edition <= terms.editions.get(cover.scope, 0)",
        "    return True",
        "tests/decisions/test_covering.py",
    ),
    Mutation(
        "limits/sliding_window.py",
        "        return max(0, limit - self.used(now))",
        "        return max(0, limit + 1 - self.used(now))",
        "tests/limits/test_sliding_window.py",
    ),
    Mutation(
        "limits/counting.py",
        "    if denial is None:",
        "    if True:",
        "tests/limits/test_counting.py",
    ),
    Mutation(
        "limits/throttle.py",
        "        self.check(*subjects)\n        (refusal,)",
        "        (refusal,)",
        "tests/limits/test_throttle.py",
        "invented or full or refused",
    ),
    Mutation(
        "consent/narrowing.py",
        "    if expires_at > before.expires_at:",
        "    if False:",
        "tests/api/test_narrowing.py",
        "end",
    ),
    Mutation(
        "consent/tightening.py",
        "    return Decimal(getattr(rule, maximum)) <= Decimal(getattr(earlier, maximum))",
        "    return True",
        "tests/api/test_narrowing.py",
        "limits",
    ),
    Mutation(
        "consent/granting.py",
        "        require_recent_sign_in(signed_in_at)",
        "        pass",
        "tests/api/test_consent_terms.py",
        "recent",
    ),
    Mutation(
        "consent/granting.py",
        "    require_registered_redirect(consent)\n    if not consent.askable_scopes():",
        "    if not consent.askable_scopes():",
        "tests/web/user/consent/test_consent_withdrawn.py",
    ),
    Mutation(
        "consent/codes.py",
        "    if not verifier_matches(code_verifier, row.code_challenge):",
        "    if code_verifier and not verifier_matches(code_verifier, row.code_challenge):",
        "tests/oauth/test_token_endpoint.py",
        "verifier",
    ),
    Mutation(
        "approvals/services.py",
        "        _require_pending(approval, now)\n        require_active(approval, user, now)",
        "        _require_pending(approval, now)",
        "tests/api/test_approvals.py",
    ),
    Mutation(
        "decisions/approvals.py",
        '            "resource": self.request.resource,',
        '            "resource": None,',
        "tests/decisions/test_asking.py",
    ),
    Mutation(
        "tokens/refresh.py",
        '        end_replayed_family(row.family, actor=actor, kind="refresh", now=now)',
        "        pass",
        "tests/oauth/test_refresh_tokens.py",
        "reuse or older",
    ),
    Mutation(
        "tokens/refresh.py",
        "    if not set(request.scopes or ()) <= set(family.scope.split()):",
        "    if False:",
        "tests/oauth/test_refresh_tokens.py",
        "wider",
    ),
    Mutation(
        "tokens/exchange.py",
        "    if found is None or found.row.application_id != agent.id:",
        "    if found is None:",
        "tests/oauth/test_token_endpoint.py",
        "another_clients",
    ),
    Mutation(
        "policies/rules/ip_allowlist.py",
        '            return Denial("The request has no IP address, and only listed addresses are allowed.")',
        "            return None",
        "tests/policies/test_cases.py",
        "ip_allowlist",
    ),
    Mutation(
        "policies/rules/action_blocklist.py",
        "        if self.names_any(ctx):",
        "        if ctx.action in self.actions:",
        "tests/policies/test_cases.py",
    ),
    Mutation(
        "audit/sequencing/tree.py",
        "    return hashlib.sha256(NODE_PREFIX + left + right).digest()",
        "    return hashlib.sha256(left + right).digest()",
        "tests/audit/test_evidence.py",
    ),
    Mutation(
        "audit/proof/evidence.py",
        '        one.decode() if name in visible else {"digest": parts.digest(one).hex()}',
        "        one.decode()",
        "tests/audit/test_exports.py",
        "own_parts",
    ),
    Mutation(
        "audit/sequencing/streams.py",
        "                use[0] += 1",
        "                pass",
        "tests/consent/test_uses.py",
    ),
    Mutation(
        "oauth/authorization.py",
        "    if asked and matches_registered(asked, registered):",
        "    if asked:",
        "tests/oauth/test_authorization_endpoint.py",
        "redirect",
    ),
    Mutation(
        "oauth/parameters.py",
        "    if CREDENTIALS & set(query):",
        "    if False:",
        "tests/oauth/test_token_endpoint.py",
        "url",
    ),
    Mutation(
        "agents/selectors.py",
        '    return Agent.objects.filter(organization_id=organization_id).order_by("-id")',
        '    return Agent.objects.order_by("-id")',
        "tests/api/test_agents.py",
    ),
    Mutation(
        "api/authentication.py",
        "        if reason:",
        "        if False:",
        "tests/api/test_authentication.py",
        "csrf",
    ),
    Mutation(
        "web/requests/access.py",
        "    return never_cache(login_required(page(view)))",
        "    return never_cache(page(view))",
        "tests/web/public/test_after_sign_in.py",
    ),
    Mutation(
        "accounts/recent.py",
        "    return bool(0 <= age < RECENT_SIGN_IN.total_seconds())",
        "    return bool(0 <= age)",
        "tests/accounts/test_recent.py",
    ),
    Mutation(
        "server/front/heads.py",
        '        if "_" in name:',
        "        if False:",
        "tests/server/front/test_heads.py",
    ),
)


def main() -> None:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [mutation for mutation in MUTATIONS if word in mutation.path]
    with copied() as copy:
        for mutation in chosen:
            require_line(copy, mutation)
        survivors = [mutation for mutation in chosen if not is_caught(copy, mutation)]
    say(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations are caught")
    sys.exit(bool(survivors))


@contextmanager
def copied() -> Iterator[Path]:
    """Yield a copy of the last commit, with this one's packages."""
    with tempfile.TemporaryDirectory(prefix="agentgate-mutations-") as folder:
        copy = Path(folder) / "copy"
        git("worktree", "add", "--quiet", "--detach", str(copy), "HEAD")
        try:
            (copy / ".venv").symlink_to((ROOT / ".venv").resolve())
            yield copy
        finally:
            git("worktree", "remove", "--force", str(copy))


def require_line(copy: Path, mutation: Mutation) -> None:
    """Stop unless the file has the line once, and the tests exist: both may have moved since."""
    path = copy / mutation.path
    found = path.read_text().count(mutation.old) if path.exists() else 0
    if found != 1 or not (copy / mutation.tests).exists():
        sys.exit(f"mutations: {mutation.name} is there {found} times, or {mutation.tests} is not")


def is_caught(copy: Path, mutation: Mutation) -> bool:
    """Return whether a test fails with the mutation, and print which one."""
    path = copy / mutation.path
    text = path.read_text()
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        failed = first_failure(copy, mutation)
    finally:
        path.write_text(text)
    say(f"{'caught' if failed else 'SURVIVES':<9} {mutation.name.splitlines()[0]}")
    say(f"          {failed or 'no test fails'}")
    return bool(failed)


def first_failure(copy: Path, mutation: Mutation) -> str:
    """Return the first test that fails, or an empty text. A test that cannot be run has noticed nothing."""
    options = ["-qx", "--tb=no", "-p", "no:cacheprovider", "-k", mutation.words]
    command = [".venv/bin/python", "-m", "pytest", *options, mutation.tests]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.M)
    return failed[1] if failed and done.returncode == TESTS_FAILED else ""


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True)  # noqa: S603, S607


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
