"""The kinds of import there are."""

from typing import Literal, get_args

from server.imports.aid import AidImport
from server.imports.areas import AreasImport
from server.imports.calendar import CalendarImport
from server.imports.groups import GroupsImport
from server.imports.import_kind import ImportKind
from server.imports.register import RegisterImport
from server.imports.staff import StaffImport

KINDS: dict[str, ImportKind] = {
    kind.name: kind
    for kind in (AreasImport(), GroupsImport(), StaffImport(), RegisterImport(), CalendarImport(), AidImport())
}
ImportName = Literal["areas", "groups", "staff", "register", "calendar", "aid"]
assert set(get_args(ImportName)) == set(KINDS), "a kind of import has no name on the wire"
