"""What a raw scan is, in any format."""
