"""What one slot shows: requests, metrics, CPU, surroundings."""
