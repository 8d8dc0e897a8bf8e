"""Whether maps of two instruments say the same of a grain, with the error of laying one on the
other and with neighbours that are alike."""
