"""One page in which any position of a run can be looked at."""
