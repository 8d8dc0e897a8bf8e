"""How ions go through single grains: by a phase-field model, or drawn; kept in a file."""
