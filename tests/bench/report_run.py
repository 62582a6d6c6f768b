"""Builds the ratified report of a run. Usage: report_run.py RUN OUT STEP ATTEMPT AS_OF."""

from __future__ import annotations

import sys
from pathlib import Path

from runner import record, report
from runner.workspace import RunFolder

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir(exist_ok=True)
step, attempt, as_of = (int(word) for word in sys.argv[3:6])
report.build_document(
    record.load(RunFolder(folder)), "laporan-hasil-update", "ratified", step, attempt, as_of, out
)
