"""Powder patterns: Rietveld fits, and fractions that another program refined."""
