"""Events of the past out of files."""
