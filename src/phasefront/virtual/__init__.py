"""Virtual experiments: raw files that the tables name, their truth, and the check against it."""
