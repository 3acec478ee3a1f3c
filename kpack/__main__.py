"""``python -m kpack``."""

from kpack.cli import main

if __name__ == "__main__":
    main()
