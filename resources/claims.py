"""The claims of an access token that its request determines: the scopes and the audience."""

import json
from collections.abc import Sequence

from django.utils.translation import gettext_noop

from core.wording import Filled

# With the authorization details, which have a limit of their own (`consent.targets`), every token that is issued is
# short enough to be read (`tokens.access_tokens.MAX_TOKEN_LENGTH`).
MAX_CLAIMS = 6 * 1024
CLAIMS_TOO_LONG = Filled(
    gettext_noop("Together, the scopes and resources of a token may have at most %(most)d bytes. Request fewer."),
    most=MAX_CLAIMS,
)


def are_claims_too_long(scopes: Sequence[str], audience: Sequence[str]) -> bool:
    """Return whether the distinct scopes and identifiers are too long for a token, written as JSON in ASCII."""
    claims = [" ".join(dict.fromkeys(scopes)), list(dict.fromkeys(audience))]
    return len(json.dumps(claims, separators=(",", ":"))) > MAX_CLAIMS
