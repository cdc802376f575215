"""What a slot must show to count, a file a kind of check."""
