from agents.stops import AgentStatus, Stopper, find_stopper
from tests.shared import cases


@cases(
    ("suspended", "members", "is_stopped", "status", "stopper"),
    [
        (False, False, False, AgentStatus.ACTIVE, None),
        (False, False, False, AgentStatus.SUSPENDED, Stopper.DEVELOPER),
        (False, False, False, "unknown", Stopper.DEVELOPER),
        (False, False, True, AgentStatus.ACTIVE, Stopper.ADMINISTRATOR),
        (False, False, True, AgentStatus.SUSPENDED, Stopper.ADMINISTRATOR),
        (False, True, False, AgentStatus.ACTIVE, Stopper.MEMBERS),
        (False, True, True, AgentStatus.SUSPENDED, Stopper.MEMBERS),
        (True, False, False, AgentStatus.ACTIVE, Stopper.ORGANIZATION),
        (True, True, True, AgentStatus.SUSPENDED, Stopper.ORGANIZATION),
    ],
)
def test_the_highest_stop_is_reported(
    suspended: bool, members: bool, is_stopped: bool, status: str, stopper: Stopper | None
) -> None:
    found = find_stopper(
        organization_suspended=suspended, organization_stopped=members, is_stopped=is_stopped, status=status
    )
    assert found == stopper
