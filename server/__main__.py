"""The command line: `python -m server COMMAND`. Each module of server/cli holds one group of commands."""

import click

from server.cli import backups, developer, local, office, packages, proofs, serving

# The sections of `--help`, each a list of commands.
SECTIONS: dict[str, list[click.Command]] = {
    "On this machine": local.COMMANDS,
    "On a server": serving.COMMANDS,
    "To lose nothing": backups.COMMANDS,
    "To take everything along": packages.COMMANDS,
    "For an office": office.COMMANDS,
    "To prove things": proofs.COMMANDS,
    "For developers": developer.COMMANDS,
}
# Commands under their former names, kept for one release: old name → new name.
RENAMED = {"fill-in-looks": "backfill-photo-features"}


class Sectioned(click.Group):
    """Lists its commands by section, each on one line, and still finds a command by its former name."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(command.name or "", command.short_help or "") for command in commands])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in RENAMED:
            click.echo(f"`{cmd_name}` is now `{RENAMED[cmd_name]}`; the old name goes with the next release.", err=True)
            cmd_name = RENAMED[cmd_name]
        return super().get_command(ctx, cmd_name)


@click.group(cls=Sectioned, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """走访 zoufang: field evidence for dibao home visits.

    On a fresh machine `make run` does everything: it sets up, migrates, loads the demo county and starts the API
    and the worker. The commands below are its parts, for servers and for those who look after one. Settings come
    from ZOUFANG_… variables; README.md has the table.
    """


for section in SECTIONS.values():
    for section_command in section:
        main.add_command(section_command)

if __name__ == "__main__":
    main(prog_name="python -m server")
