"""Consistency checks of the database against stored bytes and git.

Owns the checks and their findings. Never repairs: the only write marks blobs with wrong bytes as
damaged, if ``deep``.
"""

from hubstead.doctor.checks import CHECKS, run_checks
from hubstead.doctor.findings import Check, Finding, Inspection, Severity

__all__ = ["CHECKS", "Check", "Finding", "Inspection", "Severity", "run_checks"]
