"""Whether maps of two instruments say the same of a grain, errors of their places included."""
