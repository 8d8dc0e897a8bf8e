"""Along which direction a grain's ion content changes, and channels of the structure there."""
