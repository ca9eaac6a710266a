"""What an entry is: drafted, in a row of the journal, as a record of the log, and its parts."""
