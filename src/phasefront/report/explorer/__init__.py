"""One page in which any position of a run can be looked at."""

PAGE = "explorer.html"  # in a run's folder
