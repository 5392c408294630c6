"""How the bones of a CT are found again in an MR, one rigid motion each."""
