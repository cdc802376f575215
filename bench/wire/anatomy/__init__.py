"""Where the microseconds go: hops of captured requests, and what they explain."""
