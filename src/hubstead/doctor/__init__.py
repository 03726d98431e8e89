"""Holds the database against the bytes and git, and says what does not fit."""

from hubstead.doctor.examination import CHECKS, examine
from hubstead.doctor.findings import Check, Finding, Patient, Severity

__all__ = ["CHECKS", "Check", "Finding", "Patient", "Severity", "examine"]
