"""The analytics of an organization: charts, tables beside them, and links to the rows of the log behind each number."""
