"""The article's statements, one file a subject: what is run, and what it must show."""
