"""A record beside every output: what was made from what."""
