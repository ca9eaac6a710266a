"""`./dev manage doctor`: what is wrong with an installation, and what to do about it. It reads only."""
