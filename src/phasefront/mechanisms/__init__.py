"""Which way the ions go: habit planes, morphologies, populations, what goes with them."""
