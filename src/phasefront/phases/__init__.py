"""Which phase is at every position: evidence, posterior, decision."""
