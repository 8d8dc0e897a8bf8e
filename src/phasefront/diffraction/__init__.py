"""Crystals, matching, likelihood: no stage stands in it."""
