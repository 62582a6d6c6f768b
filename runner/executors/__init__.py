"""The interchangeable ways to do the technical part of a row."""
