"""The classical finder of the finger joints on a whole-hand film."""
