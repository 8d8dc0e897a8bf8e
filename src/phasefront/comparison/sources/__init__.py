"""Sources of a state's ion content and phase fractions, all behind one interface."""
