"""Reads a run's folder and folds its journal, as every command does first. Usage: fold_run.py RUN RECORDS."""

from __future__ import annotations

import sys
from pathlib import Path

from runner import record
from runner.workspace import RunFolder

loaded = record.load(RunFolder(Path(sys.argv[1])))
step = loaded.state.step
if len(loaded.events) != int(sys.argv[2]):
    sys.exit(f"{len(loaded.events)} records were read")
