"""How the subchondral regions of a bone are found from its surface."""
