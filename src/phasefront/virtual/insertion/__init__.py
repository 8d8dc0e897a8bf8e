"""How ions go through single grains: simulated by a phase-field model, or drawn; and kept in a file."""
