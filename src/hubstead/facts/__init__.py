"""Facts about model files, read from their headers once per file content and stored.

Owns the table of facts, and what they add up to for a repository. Reads no format itself
(``formats`` does), decides no rights, and knows no HTTP.
"""

from hubstead.facts.files import ModelFile, list_model_files
from hubstead.facts.jobs import FACT_LISTENER, fact_jobs
from hubstead.facts.models import NO_FACTS, ModelFacts, model_facts
from hubstead.facts.reader import (
    GGUF,
    SAFETENSORS,
    FactReader,
    FileFormat,
    GgufFacts,
    SafetensorsFacts,
)

__all__ = [
    "FACT_LISTENER",
    "GGUF",
    "NO_FACTS",
    "SAFETENSORS",
    "FactReader",
    "FileFormat",
    "GgufFacts",
    "ModelFacts",
    "ModelFile",
    "SafetensorsFacts",
    "fact_jobs",
    "list_model_files",
    "model_facts",
]
