"""Signs in with the generated Python client, pulls the assignments and prints the first one's id: SERVER LOGIN PASSWORD."""

import sys

from zoufang import AuthenticatedClient, Client
from zoufang.api.field import pull_assignments
from zoufang.api.sign_in import sign_in_staff, who_am_i
from zoufang.models import StaffSignIn

server, login, password = sys.argv[1:]
body = StaffSignIn.from_dict({"login": login, "password": password, "device": {"label": "python"}})
signed_in = sign_in_staff.sync(client=Client(base_url=server), body=body)
client = AuthenticatedClient(base_url=server, token=signed_in.access_token)
assert who_am_i.sync(client=client).person_id == signed_in.person_id
page = pull_assignments.sync(1, client=client)
print(page.documents[0].id)  # noqa: T201
