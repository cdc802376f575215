"""The table of network modes, and the traces that each leaves on its path."""
