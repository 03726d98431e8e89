"""``python -m hubstead.settings`` prints ``docs/settings.md``."""

import sys

from hubstead.settings.docs import as_markdown

if __name__ == "__main__":
    sys.stdout.write(as_markdown())
