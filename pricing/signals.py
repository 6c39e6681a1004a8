"""What others may join to assignments. Sent inside the transaction."""

from django.dispatch import Signal

# Argument: assignments. New ones that were stored all together, which no `post_save` tells of.
many_assigned = Signal()
