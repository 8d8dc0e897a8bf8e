"""Grains: contiguous, one crystal orientation, whatever phases they hold."""
