"""Bragg vectors of every pattern: found in a raw scan, or taken from others' lists of peaks."""
