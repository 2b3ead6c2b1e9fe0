"""The description of the API: built from the routes, their Structs and recorded exchanges, kept in `openapi/`."""
