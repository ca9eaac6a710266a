"""The analytics of an organization: charts, tables beside them, and links to the log entries behind each number."""
