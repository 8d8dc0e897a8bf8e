"""A first config and its tables, from the files that someone has."""
