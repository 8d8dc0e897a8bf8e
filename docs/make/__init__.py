"""What `make docs` makes: the pages and drawings of docs/ that say what code and results say."""
