"""`python -m lab`: the same as `rawat lab`."""

from lab.cli import app

app(prog_name="rawat lab")
