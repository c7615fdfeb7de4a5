"""Whose records moved the model: gradient rows, influence, verbatim spans, and the payout rule."""
