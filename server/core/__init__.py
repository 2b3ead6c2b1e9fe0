"""What everything stands on. It knows no table, no route and no room above it."""
