"""Crystals, orientations, templates, matching and likelihood: physics that knows no stage."""
