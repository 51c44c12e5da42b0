"""Tunes as people see them: text, piano rolls, pictures."""
