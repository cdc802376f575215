"""What is read while a slot runs: counters, CPU, captures, who else is busy."""
