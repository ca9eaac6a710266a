"""The organization's log as the developer portal shows it: rows, one entry, exports."""
