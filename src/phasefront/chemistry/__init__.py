"""Chemistry of maps: valence from X-ray stacks, ratios of elements from energy losses."""
