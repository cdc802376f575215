"""How often the words are wrong, counted by simulation and on recorded slots."""
