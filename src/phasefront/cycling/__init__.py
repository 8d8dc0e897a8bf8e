"""Galvanostatic logs: ion content, plateaus, states of charge."""
