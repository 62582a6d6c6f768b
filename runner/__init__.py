"""Rawat runs an office's written IT-maintenance SOP and keeps a record an auditor can verify."""

__version__ = "0.1.0"
