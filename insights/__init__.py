"""Counts of the log for the charts of the portal, made after the fact, so that decisions pay nothing for them.

Roll-ups name no person, so neither an erasure nor an archived month changes a count. Each number on a page links to the
rows of the log that it counts, so a new kind of number needs its filter first. Actions are not counted, because callers
choose them freely.
"""
