"""`python -m agentguard` is the `agentguard` command."""

from agentguard.cli import main

if __name__ == "__main__":
    main()
