"""What settles a final invoice: payments, credit notes, credits, becoming void."""
