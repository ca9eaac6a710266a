"""The claims of an access token that its request determines: the scopes and the audience."""

import json
from collections.abc import Sequence

# With the authorization details, which have a limit of their own (`consent.targets`), every token that is issued is
# short enough to be read (`tokens.access_tokens.MAX_TOKEN_LENGTH`).
MAX_CLAIMS = 6 * 1024
CLAIMS_TOO_LONG = f"Together, the scopes and resources of a token may have at most {MAX_CLAIMS} bytes. Request fewer."


def are_claims_too_long(scopes: Sequence[str], audience: Sequence[str]) -> bool:
    """Return whether the distinct scopes and identifiers are too long for a token, written as JSON in ASCII."""
    claims = [" ".join(dict.fromkeys(scopes)), list(dict.fromkeys(audience))]
    return len(json.dumps(claims, separators=(",", ":"))) > MAX_CLAIMS
