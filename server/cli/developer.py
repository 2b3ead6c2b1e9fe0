"""Commands for developers: what is generated from the code."""

import click


@click.command("openapi", short_help="write openapi/openapi.json from the routes")
@click.option("--check", is_flag=True, help="Write nothing; fail when the committed file differs.")
def openapi(check: bool) -> None:
    """Write openapi/openapi.json from the routes."""
    from server.openapi.document import write_openapi

    if not write_openapi(check=check):
        raise click.ClickException("openapi/openapi.json differs from the routes; run `make openapi`")


@click.command("settings-table", short_help="print the settings as README.md shows them")
def settings_table() -> None:
    """Print the table of settings as README.md shows it."""
    from server.core.settings import settings_table as table

    click.echo(table())


COMMANDS = [openapi, settings_table]
