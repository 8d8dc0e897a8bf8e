"""Interfaces between phases inside grains, the grains' facets, and ion contents from outlines."""
