"""Everything that touches a machine: hosts, servers on them, instruments that read them."""
