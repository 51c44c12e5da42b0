"""The check of a table, before anything is drawn."""
