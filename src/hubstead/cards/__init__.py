"""README.md as a card: read, checked, and what it says of its repository."""

from hubstead.cards.checks import Validation, validate
from hubstead.cards.facts import Facts, derive
from hubstead.cards.front_matter import Card, parse, split
from hubstead.cards.json_files import read_config
from hubstead.cards.transformers import transformers_info
from hubstead.cards.vocabulary import COLORS, LANGUAGES, LICENSES, SDKS, TASKS

__all__ = [
    "COLORS",
    "LANGUAGES",
    "LICENSES",
    "SDKS",
    "TASKS",
    "Card",
    "Facts",
    "Validation",
    "derive",
    "parse",
    "read_config",
    "split",
    "transformers_info",
    "validate",
]
