"""How the bones of a knee are taken apart in a CT."""
