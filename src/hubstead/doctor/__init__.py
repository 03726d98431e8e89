"""Holds the database against the bytes and git, and says what does not fit."""

from hubstead.doctor.checks import CHECKS, run_checks
from hubstead.doctor.findings import Check, Fault, Inspection, Severity

__all__ = ["CHECKS", "Check", "Fault", "Inspection", "Severity", "run_checks"]
