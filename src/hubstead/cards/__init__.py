"""Cards: parses and validates README.md, and derives facts about its repository from it.

Owns the vocabulary of cards. Reads text that the caller passes; never opens a repository or a row.
"""

from hubstead.cards.checks import Validation, validate_card
from hubstead.cards.facts import CardFacts, derive_facts
from hubstead.cards.front_matter import Card, license_card, parse_card, split_card
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
    "CardFacts",
    "Validation",
    "derive_facts",
    "license_card",
    "parse_card",
    "read_config",
    "split_card",
    "transformers_info",
    "validate_card",
]
