"""The command `bench`: options in, one function called, its answer printed."""
