"""The load: a Locust process that drives every connection with a loop of its own."""
