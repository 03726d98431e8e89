"""Uploads of real clients, with their results (``vectors.json`` describes their origin)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
