"""Which pairs of phases can be told apart, from the crystals alone."""
