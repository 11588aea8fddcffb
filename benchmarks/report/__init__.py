"""From saved runs to pages: read, compared, drawn, written, and the README's figures."""
