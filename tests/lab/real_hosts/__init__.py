"""Machines with sshd and dockerd of their own, reached over SSH alone."""
