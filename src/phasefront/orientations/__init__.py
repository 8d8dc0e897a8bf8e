"""Indexing: the best orientations of every phase at every position."""
