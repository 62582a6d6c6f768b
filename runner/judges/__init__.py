"""The rules by which what was measured is judged, one module per kind of host."""
