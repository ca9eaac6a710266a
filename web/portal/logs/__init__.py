"""The organization's log as the developer portal shows it: the table, single entries and exports."""
