from agents.stops import AgentStatus, Stopper, find_stopper
from tests.shared import cases


@cases(
    ("organization_suspended", "is_stopped", "status", "stopper"),
    [
        (False, False, AgentStatus.ACTIVE, None),
        (False, False, AgentStatus.SUSPENDED, Stopper.DEVELOPER),
        (False, False, "unknown", Stopper.DEVELOPER),
        (False, True, AgentStatus.ACTIVE, Stopper.ADMINISTRATOR),
        (False, True, AgentStatus.SUSPENDED, Stopper.ADMINISTRATOR),
        (True, False, AgentStatus.ACTIVE, Stopper.ORGANIZATION),
        (True, True, AgentStatus.SUSPENDED, Stopper.ORGANIZATION),
    ],
)
def test_the_highest_stop_is_reported(
    organization_suspended: bool, is_stopped: bool, status: str, stopper: Stopper | None
) -> None:
    found = find_stopper(organization_suspended=organization_suspended, is_stopped=is_stopped, status=status)
    assert found == stopper
