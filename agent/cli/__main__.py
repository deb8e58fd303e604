"""Lets ``python -m agent.cli`` run the program."""

from agent.cli import main

if __name__ == "__main__":
    # Processes that it starts load this file, too.
    main()
