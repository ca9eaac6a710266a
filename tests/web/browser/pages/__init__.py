"""All pages, in groups. To add a page, add its path to the group of its area, or a group to that area's module."""

from tests.web.browser.pages import (
    account,
    activity,
    administration,
    analytics,
    approvals,
    connections,
    consent,
    delegations,
    developer,
    documentation,
    errors,
    logs,
    policies,
    public,
    security,
)

GROUPS = [
    *public.GROUPS,
    *documentation.GROUPS,
    *consent.GROUPS,
    *connections.GROUPS,
    *approvals.GROUPS,
    *activity.GROUPS,
    *account.GROUPS,
    *security.GROUPS,
    *developer.GROUPS,
    *delegations.GROUPS,
    *policies.GROUPS,
    *administration.GROUPS,
    *logs.GROUPS,
    *analytics.GROUPS,
    *errors.GROUPS,
]
