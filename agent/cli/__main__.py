"""Lets ``python -m agent.cli`` run the program."""

from agent.cli import main

main()
