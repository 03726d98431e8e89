"""HTML pages for browsers: repositories, accounts, and how to connect a client.

Owns the templates, the style sheet and the pages' routes.
Never changes anything and sends no script: pages only read.
"""

from hubstead.pages.failures import failure_page
from hubstead.pages.render import compile_templates
from hubstead.pages.routes import ROUTES

__all__ = ["ROUTES", "compile_templates", "failure_page"]
