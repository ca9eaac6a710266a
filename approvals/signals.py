"""Signals of approvals. The apps above react to them, so that none below depends on these."""

from django.dispatch import Signal

# Sent when an approval of a call that was handed on is about to be given, or shown as one that can be, with the
# `approval` and `now`. Receivers return when what was handed on ends. They raise if it has ended.
handed_on_checked = Signal()
