"""`python -m fleet` is `fleet`; containers and the local node start it this way."""

from fleet.cli.main import main

if __name__ == "__main__":
    main()
