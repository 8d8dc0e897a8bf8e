"""Beam centre, ellipse and scale of a scan, each with its error."""
