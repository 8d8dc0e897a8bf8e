"""What becomes of simulated patterns of each phase, in the grains of a scan."""
