"""The live screen in the terminal, drawn by Textual; imported late, when a terminal is there."""
