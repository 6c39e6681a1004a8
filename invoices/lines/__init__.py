"""What a line of a bill opens to."""
