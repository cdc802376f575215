"""Machines of a person's own as hosts: an agent on each, in a container, through a connection of SSH."""
