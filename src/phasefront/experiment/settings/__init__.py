"""Sections of the config, one module a stage: the only place where settings and defaults stand."""
