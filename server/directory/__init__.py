"""The directory: areas, staff, households, checklists, devices and the audit log, as the desk looks them up."""
