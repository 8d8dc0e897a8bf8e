"""What was made from what: a record beside every output."""
