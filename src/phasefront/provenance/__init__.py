"""What was made from what: a record beside every output, and the check that anyone can run."""
