"""Alembic's entry: run the migrations on the connection that ``hubstead.db.migrate`` gives."""

from alembic import context


def run() -> None:
    """Run every pending migration inside the caller's transaction."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, transactional_ddl=False)
    context.run_migrations()


run()
