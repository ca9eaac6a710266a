VERSION = "0.1.0"
USER_AGENT = f"agentgate-oauth-python/{VERSION}"
