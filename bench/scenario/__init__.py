"""What is asked: the scenario file, its plan, its modes."""
