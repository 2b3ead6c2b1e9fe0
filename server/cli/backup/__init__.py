"""Backup, its proof and its return: a dump of the database, the photos it names, and the keys, sealed and apart."""
