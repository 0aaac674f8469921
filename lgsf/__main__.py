"""`python -m lgsf VERB`: the command line."""

from lgsf.cli import main

main()
