"""`python -m connector.cli` is `carnet`."""

from connector.cli.main import main

if __name__ == "__main__":
    main()
