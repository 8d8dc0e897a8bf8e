"""The check that anyone can run: verify, explain, compare, make again."""
