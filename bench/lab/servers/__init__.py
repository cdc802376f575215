"""What is asked: engines, images, the server in each mode."""
