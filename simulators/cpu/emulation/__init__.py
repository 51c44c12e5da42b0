"""Programs on Unicorn, a full state recorded before every instruction."""
