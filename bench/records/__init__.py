"""What is stored, as models."""
